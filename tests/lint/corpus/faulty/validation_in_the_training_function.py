# expect: validation-without-no-grad, retained-loss
import torch
import torch.nn.functional as F


def fit(model, optimizer, train_loader, val_loader, epochs):
    train_losses = []
    for epoch in range(epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            train_losses.append(loss)
        model.eval()
        val_loss = 0
        for x, y in val_loader:
            val_loss += F.cross_entropy(model(x), y)
