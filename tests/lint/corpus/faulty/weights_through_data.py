# expect: data-write
import torch

w = torch.randn(3, requires_grad=True)
for x, y in loader:
    loss = ((x @ w - y) ** 2).mean()
    loss.backward()
    w.data -= 0.1 * w.grad
    w.grad.zero_()
