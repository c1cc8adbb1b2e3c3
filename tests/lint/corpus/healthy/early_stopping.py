import torch

best_loss = float("inf")
patience = 0
for epoch in range(100):
    val_loss = validate_epoch(model)
    if val_loss < best_loss:
        best_loss = val_loss
        patience = 0
    else:
        patience += 1
        if patience > 5:
            break
    if val_loss < 1e-4:
        break
