import torch
from torch import nn
from torchvision.models import vgg16
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3))
vgg = vgg16(weights="DEFAULT").features[:16].eval()
for p in vgg.parameters():
    p.requires_grad_(False)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for x in loader:
    optimizer.zero_grad()
    y = net(x)
    loss = nn.functional.mse_loss(vgg(y), vgg(x).detach())
    loss.backward()
    optimizer.step()
