# expect: log-of-activation
import torch
import torch.nn.functional as F


def policy_loss(logits, actions, returns):
    probs = F.softmax(logits, dim=-1)
    log_probs = torch.log(probs)
    return -(log_probs.gather(1, actions) * returns).mean()
