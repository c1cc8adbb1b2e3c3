# expect: retained-loss
import torch
import torch.nn.functional as F


def train(model, optimizer, loader):
    model.train()
    epoch_loss = 0.0
    for x, y in loader:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        epoch_loss += loss * x.size(0)
    return epoch_loss / len(loader.dataset)
