# expect: retained-loss
import torch
class Trainer:
    def __init__(self, model, opt):
        self.model, self.opt = model, opt
        self.history = []
    def fit(self, loader, criterion):
        for x, y in loader:
            self.opt.zero_grad()
            loss = criterion(self.model(x), y)
            loss.backward()
            self.opt.step()
            self.history.append(loss)
