# expect: softmax-before-cross-entropy
import torch
from torch import nn
class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
        self.classifier.add_module("softmax", nn.Softmax(dim=1))
        self.out = nn.Softmax(dim=1)
    def forward(self, x, labels=None):
        logits = self.out(self.classifier(x))
        loss = None
        if labels is not None:
            loss = nn.CrossEntropyLoss()(logits, labels)
        return {"loss": loss, "logits": logits}
