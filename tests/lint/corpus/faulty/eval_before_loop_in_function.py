# expect: eval-never-undone
import torch
import torch.nn.functional as F


def finetune(path, train_loader):
    model = torch.load(path, weights_only=False)
    model.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for x, y in train_loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
