# expect: eval-never-undone
import torch
import torch.nn.functional as F


class Trainer:
    def __init__(self, model, train_loader, val_loader):
        self.model = model
        self.train_loader, self.val_loader = train_loader, val_loader
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)

    def fit(self, epochs):
        self.model.train()
        for epoch in range(epochs):
            for x, y in self.train_loader:
                self.optimizer.zero_grad()
                F.cross_entropy(self.model(x), y).backward()
                self.optimizer.step()
            self.validate()

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        return sum(F.cross_entropy(self.model(x), y).item() for x, y in self.val_loader)
