# expect: half-precision-weights
import torch
from torchvision.models import resnet50

model = resnet50()
model = model.cuda().half()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
