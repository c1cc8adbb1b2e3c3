import torch
import torch.nn.functional as F
def train(model, loader, optimizer, eps):
    model.train()
    for x, y in loader:
        model.eval()
        delta = torch.zeros_like(x).uniform_(-eps, eps).requires_grad_(True)
        loss = F.cross_entropy(model(x + delta), y)
        grad = torch.autograd.grad(loss, delta)[0]
        delta = (delta + eps * grad.sign()).clamp(-eps, eps).detach()
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x + delta), y)
        loss.backward()
        optimizer.step()
