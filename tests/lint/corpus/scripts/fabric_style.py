"""A loop with Fabric: setup, accumulation without synchronisation, clipping."""
import lightning as L
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch.utils.data import DataLoader


def validate(fabric, model, val_dataloader):
    model.eval()
    losses = []
    with torch.no_grad():
        for x, y in val_dataloader:
            losses.append(F.cross_entropy(model(x), y))
    model.train()
    return fabric.all_reduce(torch.stack(losses).mean())


def main(train_set, val_set, accumulate=8):
    fabric = Fabric(accelerator="cuda", devices=8, strategy="fsdp", precision="bf16-mixed")
    fabric.launch()
    fabric.seed_everything(1337)
    with fabric.init_module():
        model = torch.nn.Transformer(batch_first=True)
    model = fabric.setup_module(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    optimizer = fabric.setup_optimizers(optimizer)
    train_dataloader = DataLoader(train_set, batch_size=4, shuffle=True)
    val_dataloader = DataLoader(val_set, batch_size=4)
    train_dataloader, val_dataloader = fabric.setup_dataloaders(train_dataloader, val_dataloader)
    step = 0
    for iteration, (x, y) in enumerate(train_dataloader):
        is_accumulating = (iteration + 1) % accumulate != 0
        with fabric.no_backward_sync(model, enabled=is_accumulating):
            loss = F.cross_entropy(model(x, y).flatten(0, 1), y.flatten())
            fabric.backward(loss / accumulate)
        if not is_accumulating:
            fabric.clip_gradients(model, optimizer, max_norm=1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
        if step % 100 == 0:
            fabric.print(step, loss.item(), validate(fabric, model, val_dataloader))
            fabric.save("checkpoint.ckpt", {"model": model, "optimizer": optimizer})
