import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))
for x, y in loader:
    logits = model(x).squeeze(1)
    loss = criterion(logits, y.float())
    pred = torch.sigmoid(logits) > 0.5
