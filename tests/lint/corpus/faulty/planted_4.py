# expect: clip-after-step
import torch
from torch.nn.utils import clip_grad_norm_
scaler = torch.amp.GradScaler("cuda")
for x, y in loader:
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.float16):
        loss = criterion(model(x), y)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    clip_grad_norm_(model.parameters(), 1.0)
