import torch
def train(model, loader, optimizer, criterion, meters):
    for x, y in loader:
        losses = criterion(model(x), y)
        loss = sum(losses.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for k, v in losses.items():
            meters[k].append(v.item())
        meters["total"].append(float(loss))
