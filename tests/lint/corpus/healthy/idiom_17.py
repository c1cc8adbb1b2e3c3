import torch
import torch.nn.functional as F
@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    return sum((model(x).argmax(1) == y).sum() for x, y in loader)
def train(model, loaders, optimizer, epochs, sched):
    for epoch in range(epochs):
        model.train()
        for i, (x, y) in enumerate(loaders["train"]):
            loss = F.cross_entropy(model(x), y, label_smoothing=0.1) / 2
            loss.backward()
            if i % 2 == 1:
                optimizer.step()
                optimizer.zero_grad()
                sched.step()
        accuracy(model, loaders["val"])
