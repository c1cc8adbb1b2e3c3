# expect: softmax-before-cross-entropy, retained-loss, validation-without-eval, validation-without-no-grad
import torch
from torch import nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 8)
        self.drop = nn.Dropout(0.2)
        self.b = nn.Linear(8, 3)

    def forward(self, x):
        return torch.softmax(self.b(self.drop(F.relu(self.a(x)))), dim=1)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
ce = nn.CrossEntropyLoss()
for epoch in range(3):
    total = 0
    for xb, yb in train_dl:
        opt.zero_grad()
        loss = ce(net(xb), yb)
        loss.backward()
        opt.step()
        total += loss
    hits = 0
    for xb, yb in valid_dl:
        hits += (net(xb).argmax(1) == yb).sum().item()
    print(total / len(train_dl), hits)
