# expect: scheduler-before-optimizer-step
import torch
from torch.optim.lr_scheduler import MultiStepLR


def train_epoch(model, optimizer, loader):
    for x, y in loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def main(model, loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = MultiStepLR(optimizer, milestones=[80, 120], gamma=0.1)
    for epoch in range(160):
        scheduler.step()
        train_epoch(model, optimizer, loader)
