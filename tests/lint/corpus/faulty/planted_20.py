# expect: missing-zero-grad
import torch
import lightning as L
fabric = L.Fabric()
model = torch.nn.Linear(2, 2)
optimizer = torch.optim.Adam(model.parameters())
model, optimizer = fabric.setup(model, optimizer)
for epoch in range(3):
    for x, y in loader:
        loss = torch.nn.functional.mse_loss(model(x), y)
        fabric.backward(loss)
        optimizer.step()
