# expect: seed-in-loop
import torch
import torch.nn.functional as F

SEED = 42
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(30):
    torch.manual_seed(SEED)
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
