# expect: eval-never-undone
import torch
class Trainer:
    def __init__(self, net, loader, val):
        self.net, self.loader, self.val = net, loader, val
        self.opt = torch.optim.Adam(self.net.parameters())
    def train(self):
        self.net.train()
        for epoch in range(10):
            self.train_epoch()
            self.evaluate()
    def train_epoch(self):
        for x, y in self.loader:
            self.opt.zero_grad()
            torch.nn.functional.cross_entropy(self.net(x), y).backward()
            self.opt.step()
    def evaluate(self):
        self.net.eval()
        with torch.no_grad():
            for x, y in self.val:
                self.net(x)
