# expect: step-by-hand-under-lightning
import lightning as L
import torch
from torch.nn import functional as F


class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 2)

    def training_step(self, batch, batch_idx):
        x, y = batch
        opt = self.optimizers()
        loss = F.cross_entropy(self.fc(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss
