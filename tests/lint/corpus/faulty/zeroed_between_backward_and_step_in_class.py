# expect: misplaced-zero-grad
import torch


class Runner:
    def __init__(self, model):
        self.model = model
        self.optim = torch.optim.Adam(model.parameters())

    def train(self, loader):
        for x, y in loader:
            loss = torch.nn.functional.mse_loss(self.model(x), y)
            loss.backward()
            self.optim.zero_grad()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optim.step()
