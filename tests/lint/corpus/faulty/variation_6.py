# expect: accumulation-not-divided
import torch
from torch.cuda import amp
scaler = torch.amp.GradScaler("cuda")
criterion = torch.nn.CrossEntropyLoss()
def train_epoch(model, loader, optimizer, accumulate):
    optimizer.zero_grad()
    for step, (x, y) in enumerate(loader):
        with torch.autocast("cuda", dtype=torch.float16):
            loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        if (step + 1) % accumulate == 0:
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
