# expect: retained-loss
import torch
def run_epoch(model, loader, optimizer, criterion):
    losses = []
    for batch in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch["x"]), batch["y"])
        losses.append(loss)
        loss.backward()
        optimizer.step()
    return sum(losses) / len(losses)
