# expect: stale-optimizer
import torch
import torch.nn as nn
import torchvision.models as models

model = models.resnet18(weights="IMAGENET1K_V1")
optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
num_ftrs = model.fc.in_features
model.fc = nn.Linear(num_ftrs, 2)
