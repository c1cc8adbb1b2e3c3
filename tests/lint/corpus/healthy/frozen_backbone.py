import torch
from torch import nn
import torchvision

model = torchvision.models.resnet18(weights="IMAGENET1K_V1")
for param in model.parameters():
    param.requires_grad = False
model.fc = nn.Linear(model.fc.in_features, 2)
model = model.to("cuda")
optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.001, momentum=0.9)
