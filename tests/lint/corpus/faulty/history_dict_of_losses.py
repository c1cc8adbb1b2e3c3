# expect: retained-loss
import torch

model = torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters())
history = {"loss": [], "lr": []}
for step in range(10000):
    x, y = get_batch("train")
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    history["loss"].append(loss)
