# expect: detached-loss
import torch
import torch.nn.functional as F


def step(model, optimizer, x, y):
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss = loss.detach()
    loss.requires_grad = True
    loss.backward()
    optimizer.step()
