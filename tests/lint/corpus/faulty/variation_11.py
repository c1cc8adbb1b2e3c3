# expect: nan-blind-comparison
import torch
def train(model, loader, optimizer, threshold):
    for batch in loader:
        optimizer.zero_grad()
        loss = model(batch)
        if loss.item() >= threshold:
            return False
        loss.backward()
        optimizer.step()
