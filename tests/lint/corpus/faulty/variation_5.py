# expect: clip-before-unscale
import torch
from torch.amp import GradScaler, autocast
scaler = GradScaler()
for epoch in range(epochs):
    for input, target in data:
        optimizer.zero_grad()
        with autocast(device_type="cuda", dtype=torch.float16):
            output = model(input)
            loss = loss_fn(output, target)
        scaled = scaler.scale(loss)
        scaled.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
