# expect: missing-zero-grad
import torch
from accelerate import Accelerator

accelerator = Accelerator()
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.AdamW(model.parameters())
model, optimizer, train_dataloader = accelerator.prepare(model, optimizer, train_dataloader)
for epoch in range(3):
    for batch in train_dataloader:
        outputs = model(batch["x"])
        loss = torch.nn.functional.mse_loss(outputs, batch["y"])
        accelerator.backward(loss)
        optimizer.step()
