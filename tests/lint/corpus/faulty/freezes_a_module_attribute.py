# expect: requires-grad-on-module
import torchvision.models as models

model = models.vgg16(weights="DEFAULT")
model.features.requires_grad = False
model.classifier[6] = None
