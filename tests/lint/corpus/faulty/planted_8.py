# expect: softmax-before-cross-entropy
import torch
import torch.nn as nn
import torch.nn.functional as F
class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(10, 8)
        self.lstm = nn.LSTM(8, 8)
        self.fc = nn.Linear(8, 10)
    def forward(self, x, h=None):
        e = self.emb(x)
        o, h = self.lstm(e, h)
        return F.softmax(self.fc(o), dim=-1), h
m = M()
for x, y in loader:
    out, h = m(x)
    loss = F.cross_entropy(out.view(-1, 10), y.view(-1))
