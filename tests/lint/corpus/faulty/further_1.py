# expect: missing-zero-grad
import torch
from torch import nn
class VAE_Trainer:
    def __init__(self, enc, dec):
        self.enc, self.dec = enc, dec
        self.opt_e = torch.optim.Adam(enc.parameters())
        self.opt_d = torch.optim.Adam(dec.parameters())
    def fit(self, loader):
        for x in loader:
            self.opt_e.zero_grad()
            loss = ((self.dec(self.enc(x)) - x) ** 2).mean()
            loss.backward()
            self.opt_e.step()
            self.opt_d.step()
