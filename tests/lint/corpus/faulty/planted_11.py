# expect: retained-loss
import torch
stats = {"train_loss": 0.0}
for batch in loader:
    optimizer.zero_grad()
    out = model(batch)
    loss = out.loss
    loss.backward()
    optimizer.step()
    stats["train_loss"] += loss
