# expect: sigmoid-before-bce-with-logits
import torch
from torch import nn


class Binary(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1))
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        x = self.net(x)
        return self.sigmoid(x)


model = Binary()
criterion = nn.BCEWithLogitsLoss()
for x, y in loader:
    y_pred = model(x)
    loss = criterion(y_pred, y.unsqueeze(1))
