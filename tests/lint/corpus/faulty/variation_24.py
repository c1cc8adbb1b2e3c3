# expect: sigmoid-before-bce-with-logits
import torch
import torch.nn as nn
class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 1)
    def forward(self, x):
        return torch.sigmoid(self.fc(x))
D = D()
loss_fn = nn.BCEWithLogitsLoss()
for x, y in loader:
    l = loss_fn(D(x), y)
