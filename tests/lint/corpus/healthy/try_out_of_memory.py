import torch
def train(model, optimizer, loader, criterion):
    for x, y in loader:
        try:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        except RuntimeError as error:
            if "out of memory" in str(error):
                optimizer.zero_grad()
                torch.cuda.empty_cache()
                continue
            raise
