# expect: validation-without-no-grad
import torch
def run(model, train_loader, valid_loader, optimizer, criterion):
    for epoch in range(3):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        model.eval()
        correct = 0
        for x, y in valid_loader:
            correct += (model(x).argmax(1) == y).sum().item()
