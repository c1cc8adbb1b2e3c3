import torch
from torch import nn
from torch.optim import Adam
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 1)
        self.opt = Adam(self.parameters(), lr=1e-3)
    def forward(self, x):
        return self.lin(x)
    def update(self, x, y):
        loss = nn.functional.mse_loss(self(x), y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()
net = Net().to("cuda")
for x, y in data:
    net.update(x, y)
