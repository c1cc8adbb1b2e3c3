# expect: softmax-before-cross-entropy
import lightning as L
import torch
from torch import nn
import torch.nn.functional as F


class Classifier(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 3)
        self.softmax = nn.Softmax(dim=1)
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, x):
        return self.softmax(self.fc(x))

    def training_step(self, batch, batch_idx):
        x, y = batch
        y_hat = self(x)
        return self.criterion(y_hat, y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())
