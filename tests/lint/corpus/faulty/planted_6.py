# expect: schedule-interval
import torch
from torch.optim.lr_scheduler import MultiStepLR
class T:
    def __init__(self, model):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=0.1)
        self.sched = MultiStepLR(self.opt, milestones=[30, 60, 90], gamma=0.1)
    def epoch(self, loader):
        for x, y in loader:
            self.opt.zero_grad()
            torch.nn.functional.cross_entropy(self.model(x), y).backward()
            self.opt.step()
            self.sched.step()
    def fit(self, loader):
        for e in range(100):
            self.epoch(loader)
