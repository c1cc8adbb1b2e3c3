# expect: validation-without-eval
import torch
import torch.nn.functional as F


def test(model, device, test_loader):
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            pred = model(data).argmax(dim=1)
            correct += pred.eq(target).sum().item()
    print(correct / len(test_loader.dataset))
