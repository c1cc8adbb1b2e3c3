# expect: optimizer-built-in-loop
import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 2)
for epoch in range(5):
    for batch_idx, (x, y) in enumerate(train_loader):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
