# expect: softmax-before-cross-entropy
import torch
import torch.nn.functional as F
from torch import nn


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.out = nn.Linear(16, 4)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.out(h[:, -1])


net = Lstm()
for x, y in loader:
    logits = net(x)
    probs = logits.softmax(dim=-1)
    loss = F.cross_entropy(probs, y)
