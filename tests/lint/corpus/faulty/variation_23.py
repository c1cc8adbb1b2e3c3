# expect: misplaced-zero-grad
import torch
for epoch in range(10):
    for x, y in loader:
        loss = criterion(model(x), y)
        loss.backward()
        model.zero_grad()
        optimizer.step()
