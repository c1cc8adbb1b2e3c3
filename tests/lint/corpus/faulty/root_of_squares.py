# expect: root-without-eps
import torch


def gradient_penalty(gradients):
    norm = torch.sqrt(torch.sum(gradients ** 2, dim=1))
    return ((norm - 1) ** 2).mean()
