# expect: misplaced-zero-grad
import torch
for i, batch in enumerate(train_dataloader):
    model.zero_grad()
    loss = model(**batch).loss / accumulation
    loss.backward()
    if (i + 1) % accumulation == 0:
        optimizer.step()
        scheduler.step()
