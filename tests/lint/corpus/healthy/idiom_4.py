import torch
import torch.nn.functional as F
def focal(logits, y, gamma=2.0):
    ce = F.cross_entropy(logits, y, reduction="none")
    p = torch.exp(-ce)
    return ((1 - p) ** gamma * ce).mean()
