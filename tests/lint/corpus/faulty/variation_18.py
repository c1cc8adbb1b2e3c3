# expect: retain-graph-in-loop
import torch
model = torch.nn.GRU(3, 3)
opt = torch.optim.Adam(model.parameters())
h = torch.zeros(1, 1, 3)
for epoch in range(5):
    for x, y in loader:
        opt.zero_grad()
        out, h = model(x, h)
        loss = (out - y).pow(2).mean()
        loss.backward(retain_graph=True)
        opt.step()
