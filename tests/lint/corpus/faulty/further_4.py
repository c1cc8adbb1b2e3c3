# expect: retained-loss
import torch
for epoch in range(3):
    epoch_losses = []
    for x, y in loader:
        opt.zero_grad()
        loss = criterion(model(x), y)
        accelerator.backward(loss)
        opt.step()
        epoch_losses.append(loss)
