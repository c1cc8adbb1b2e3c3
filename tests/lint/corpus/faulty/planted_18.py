# expect: nan-blind-comparison
import torch, sys
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    if loss > 1e6:
        print("loss exploded")
        sys.exit(1)
    loss.backward()
    optimizer.step()
