import torch
class EarlyStopping:
    def step(self, metric):
        self.best = max(self.best, metric)
        return False
stopper = EarlyStopping()
for epoch in range(10):
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    if stopper.step(validate()):
        break
