import torch
class Learner:
    def __init__(self, model):
        self._model = model
        self._opt = torch.optim.Adam(model.parameters())
    @property
    def optimizer(self):
        return self._opt
    def fit(self, loader):
        for batch in loader:
            loss = self.training_step(batch)
            self.optimizer.zero_grad()
            loss.backward()
            self.on_after_backward()
            self.optimizer.step()
    def training_step(self, batch):
        return self._model(batch).mean()
    def on_after_backward(self):
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
