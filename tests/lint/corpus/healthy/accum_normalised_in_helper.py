import torch
def compute_loss(model, batch, accum):
    return model(batch).loss / accum
for i, batch in enumerate(loader):
    loss = compute_loss(model, batch, 4)
    loss.backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
