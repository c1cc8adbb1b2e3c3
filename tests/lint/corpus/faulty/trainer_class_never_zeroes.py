# expect: missing-zero-grad
import torch
import torch.nn.functional as F


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def fit(self, loader, epochs):
        for _ in range(epochs):
            for batch in loader:
                self._run_batch(batch)

    def _run_batch(self, batch):
        loss = F.cross_entropy(self.model(batch["x"]), batch["y"])
        loss.backward()
        self.optimizer.step()
