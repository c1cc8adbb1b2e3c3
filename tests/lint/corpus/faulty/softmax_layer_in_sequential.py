# expect: softmax-before-cross-entropy
import torch
from torch import nn

model = nn.Sequential(
    nn.Linear(784, 128),
    nn.ReLU(),
    nn.Linear(128, 10),
    nn.Softmax(dim=1),
)
loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
for x, y in loader:
    loss = loss_fn(model(x.flatten(1)), y)
