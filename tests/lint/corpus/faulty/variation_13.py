# expect: double-step, scaler-mismatch
import deepspeed, torch
from torch.amp import GradScaler
def closure_free(model, optimizer, scaler, x):
    for b in x:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = model(b).mean()
        scaler.scale(loss).backward()
        optimizer.step()
        scaler.step(optimizer)
        scaler.update()
