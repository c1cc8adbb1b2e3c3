import copy
import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
best, best_loss = None, float("inf")
history = []
for epoch in range(30):
    model.train()
    train_loss = torch.tensor(0.0)
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            train_loss += loss
    model.eval()
    with torch.inference_mode():
        val_loss = torch.stack([F.cross_entropy(model(x), y) for x, y in val_loader]).mean()
    history.append((train_loss.item(), val_loss.item()))
    if val_loss < best_loss:
        best_loss, best = val_loss, copy.deepcopy(model.state_dict())
