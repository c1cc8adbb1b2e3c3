import torch
def train(model, loader, optimizer, scheduler=None, scheduler_per_batch=False):
    for epoch in range(10):
        for x, y in loader:
            optimizer.zero_grad()
            model(x, y).backward()
            optimizer.step()
            if scheduler is not None and scheduler_per_batch:
                scheduler.step()
        if scheduler is not None and not scheduler_per_batch:
            scheduler.step()
