import torch
import torch.nn.functional as F
def dice_and_ce(logits, target):
    probs = torch.softmax(logits, 1)
    dice = 1 - (2 * (probs * target).sum()) / (probs.sum() + target.sum() + 1e-6)
    return F.cross_entropy(logits, target.argmax(1)) + dice
