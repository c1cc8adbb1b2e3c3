import torch
from torch import nn
class CLIP(nn.Module):
    def __init__(self, image, text):
        super().__init__()
        self.image, self.text = image, text
        self.logit_scale = nn.Parameter(torch.ones([]) * 2.6592)
    def forward(self, x, t):
        image_features, text_features = self.image(x), self.text(t)
        image_features = image_features / image_features.norm(dim=1, keepdim=True)
        text_features = text_features / text_features.norm(dim=1, keepdim=True)
        return self.logit_scale.exp() * image_features @ text_features.t()
