# expect: validation-without-no-grad
import torch
import torch.nn.functional as F


def validate(model, val_loader):
    model.eval()
    losses = []
    for x, y in val_loader:
        output = model(x)
        losses.append(F.cross_entropy(output, y).item())
    model.train()
    return sum(losses) / len(losses)
