# expect: softmax-before-cross-entropy
import torch
import torch.nn as nn
def make_model():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(1))
model = make_model()
loss_fn = torch.nn.CrossEntropyLoss()
for x, y in loader:
    loss = loss_fn(model(x), y)
