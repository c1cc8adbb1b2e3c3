# expect: requires-grad-on-module
from torchvision.models import resnet18

model = resnet18()
for child in model.children():
    child.requires_grad = False
