import contextlib
import torch
def train(model, optimizer, loader, accum, ddp):
    for step, batch in enumerate(loader):
        sync = (step + 1) % accum == 0
        cm = contextlib.nullcontext() if sync or not ddp else model.no_sync()
        with cm:
            loss = model(batch).loss / accum
            loss.backward()
        if not sync:
            continue
        grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if torch.isfinite(grad_norm):
            optimizer.step()
        optimizer.zero_grad()
