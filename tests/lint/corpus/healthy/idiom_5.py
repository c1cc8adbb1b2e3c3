import torch
def normalise(x):
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-6)
def std(img, mean, std):
    return (img - mean) / std
features = features / features.norm(dim=-1, keepdim=True).clamp_min(1e-8)
