# expect: optimizer-before-move
import torch
from torchvision.models import resnet18

model = resnet18(num_classes=10)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = torch.nn.CrossEntropyLoss()
model = model.cuda()
