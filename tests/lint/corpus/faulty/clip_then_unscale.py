# expect: clip-before-unscale
import torch
from torch import nn


def train_one_epoch(model, loader, optimizer, scaler, criterion, clip_grad):
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip_grad)
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
