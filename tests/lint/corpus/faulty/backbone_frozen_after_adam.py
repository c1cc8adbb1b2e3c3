# expect: requires-grad-after-optimizer
import torch
from torch import nn
from torchvision.models import resnet18

model = resnet18(weights="DEFAULT")
model.fc = nn.Linear(512, 10)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for param in model.layer1.parameters():
    param.requires_grad = False

for images, labels in train_loader:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
