# expect: clip-after-step
import torch
import torch.nn.functional as F


def train(model, optimizer, loader, max_norm=1.0):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
