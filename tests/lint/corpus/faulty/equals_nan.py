# expect: nan-equality
import torch

for x, y in loader:
    loss = compute(x, y)
    if loss.item() == float("nan"):
        break
