# expect: clip-before-unscale
import torch
def train_step(model, batch, optimizer, scaler, max_norm):
    optimizer.zero_grad(set_to_none=True)
    with torch.amp.autocast("cuda"):
        loss = model(**batch).loss
    scaler.scale(loss).backward()
    grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    return loss.item(), grad_norm
