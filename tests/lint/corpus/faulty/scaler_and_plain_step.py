# expect: double-step
import torch
from torch.amp import GradScaler

def train(model, optimizer, loader, criterion):
    scaler = GradScaler("cuda")
    model.train()
    for images, targets in loader:
        optimizer.zero_grad()
        with torch.autocast(device_type="cuda", dtype=torch.float16):
            loss = criterion(model(images), targets)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.step()
