# expect: clip-before-unscale
import torch
from torch.nn.utils import clip_grad_value_


class Trainer:
    def __init__(self, net):
        self.net = net
        self.opt = torch.optim.Adam(net.parameters())
        self.scaler = torch.amp.GradScaler("cuda")

    def step(self, batch):
        self.opt.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = self.net(batch).mean()
        self.scaler.scale(loss).backward()
        clip_grad_value_(self.net.parameters(), 0.5)
        self.scaler.step(self.opt)
        self.scaler.update()
