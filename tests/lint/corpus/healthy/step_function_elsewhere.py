import torch


class Worker:
    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer

    def compute_gradients(self, batch):
        self.optimizer.zero_grad()
        loss = self.model(batch).mean()
        loss.backward()
        return [p.grad for p in self.model.parameters()]

    def apply_gradients(self, gradients):
        for p, g in zip(self.model.parameters(), gradients):
            p.grad = g
        self.optimizer.step()
