# expect: accumulation-not-divided
import torch
class Trainer:
    def __init__(self, model, optimizer, accum=8):
        self.model, self.optimizer, self.accum = model, optimizer, accum
        self.criterion = torch.nn.CrossEntropyLoss()
    def train_epoch(self, loader):
        self.optimizer.zero_grad()
        for i, (x, y) in enumerate(loader, start=1):
            loss = self.criterion(self.model(x), y)
            loss.backward()
            if i % self.accum == 0 or i == len(loader):
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                self.optimizer.zero_grad()
