import torch
from torch import nn
import torch.nn.functional as F
class FocalLoss(nn.Module):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma
        self.ce = nn.CrossEntropyLoss(reduction="none")
    def forward(self, logits, y):
        ce = self.ce(logits, y)
        return ((1 - torch.exp(-ce)) ** self.gamma * ce).mean()
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        return self.fc(x)
model = Net()
criterion = FocalLoss()
augment = nn.Sequential(RandomFlip(), RandomCrop(32))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(augment(x)), y)
    loss.backward()
    optimizer.step()
