# expect: softmax-before-cross-entropy
import torch
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        self.act = nn.Softmax(dim=1)
    def forward(self, x):
        out = self.layers(x)
        out = self.act(out)
        return out
class Trainer:
    def __init__(self):
        self.net = Net().cuda()
        self.criterion = nn.CrossEntropyLoss().cuda()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.1)
    def step(self, x, y):
        self.opt.zero_grad()
        loss = self.criterion(self.net(x), y)
        loss.backward()
        self.opt.step()
