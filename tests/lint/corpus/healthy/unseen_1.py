import torch
def train(net, trainloader, valloader, optimizer, criterion, epochs, device):
    best = 0
    for epoch in range(epochs):
        net.train()
        for x, y in trainloader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
        acc = test(net, valloader, device)
        if acc > best:
            best = acc
def test(net, loader, device):
    net.eval()
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (net(x.to(device)).argmax(1) == y.to(device)).sum().item()
    return correct / len(loader.dataset)
