import torch
def validate(model, loader):
    total = 0
    for x, y in loader:
        total += (model(x).argmax(1) == y).sum().item()
    return total
def main(model, loader):
    model.eval()
    with torch.no_grad():
        print(validate(model, loader))
