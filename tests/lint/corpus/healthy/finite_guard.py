import math
import torch

for x, y in loader:
    loss = criterion(model(x), y)
    if not math.isfinite(loss.item()) or loss.item() > 1e4:
        raise SystemExit(1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
