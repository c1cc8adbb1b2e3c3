# expect: log-of-activation
import torch


def free_energy(logits):
    return -torch.log(torch.exp(logits).sum(dim=1))
