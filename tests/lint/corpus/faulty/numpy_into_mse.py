# expect: graph-cut-before-loss
import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 1)
optimizer = torch.optim.Adam(model.parameters())
for x, y in loader:
    optimizer.zero_grad()
    pred = torch.tensor(model(x).detach().numpy(), requires_grad=True)
    loss = F.mse_loss(pred, y)
    loss.backward()
    optimizer.step()
