# expect: eval-never-undone
import torch
from torch import nn
def evaluate(model, loader, criterion):
    model.eval()
    total = 0.
    with torch.no_grad():
        for x, y in loader:
            total += criterion(model(x), y).item()
    return total
def run(train_loader, valid_loader):
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.2), nn.Linear(3, 2))
    model.train()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(5):
        for x, y in train_loader:
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        evaluate(model, valid_loader, criterion)
