import torch
from torch import nn
class LitGPT:
    pass
def configure(model, cfg):
    opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr, betas=(0.9, 0.95), fused=True)
    warm = torch.optim.lr_scheduler.LinearLR(opt, 1e-3, 1.0, total_iters=cfg.warmup_steps)
    cos = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=cfg.max_steps - cfg.warmup_steps)
    return opt, torch.optim.lr_scheduler.SequentialLR(opt, [warm, cos], milestones=[cfg.warmup_steps])
def loop(model, cfg, loader):
    opt, sched = configure(model, cfg)
    for epoch in range(cfg.epochs):
        for batch in loader:
            loss = model(**batch)["loss"]
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            sched.step()
            opt.zero_grad()
