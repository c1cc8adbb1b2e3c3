# expect: clip-before-unscale
import torch
from torch.amp import autocast


class Engine:
    def __init__(self, cfg, net):
        self.cfg = cfg
        self.net = net
        self.opt = torch.optim.AdamW(net.parameters(), lr=cfg.lr)
        self.scaler = torch.amp.GradScaler("cuda", enabled=cfg.amp)

    def backward(self, loss):
        self.scaler.scale(loss).backward()
        if self.cfg.clip:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.cfg.clip)
        self.scaler.step(self.opt)
        self.scaler.update()
        self.opt.zero_grad()

    def epoch(self, loader):
        for x, y in loader:
            with autocast("cuda"):
                loss = torch.nn.functional.cross_entropy(self.net(x), y)
            self.backward(loss)
