# expect: missing-zero-grad
import torch
from torch import nn


def train_one_epoch(model, optimizer, loss_fn, dataloader, device):
    model.train()
    for x, y in dataloader:
        x, y = x.to(device), y.to(device)
        loss = loss_fn(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def main():
    model = nn.Linear(10, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    for epoch in range(5):
        train_one_epoch(model, optimizer, nn.CrossEntropyLoss(), loader, "cpu")


main()
