# expect: anomaly-detection-left-on
import torch
with torch.autograd.detect_anomaly():
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
