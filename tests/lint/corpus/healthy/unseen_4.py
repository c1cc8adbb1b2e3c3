import torch
import torch.nn.functional as F
class RewardModelTrainer:
    def __init__(self, model, strategy, optim, scheduler, loader):
        self.model, self.strategy, self.optimizer = model, strategy, optim
        self.scheduler, self.loader = scheduler, loader
    def fit(self):
        for epoch in range(3):
            self.model.train()
            for chosen, rejected in self.loader:
                r1, r2 = self.model(chosen), self.model(rejected)
                loss = -F.logsigmoid(r1 - r2).mean()
                self.strategy.backward(loss, self.model, self.optimizer)
                self.strategy.optimizer_step(self.optimizer, self.model, self.scheduler)
