# expect: loss-input-mismatch
import torch.nn as nn
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
criterion = nn.BCELoss()
for x, y in loader:
    output = model(x).squeeze(1)
    loss = criterion(output, y)
