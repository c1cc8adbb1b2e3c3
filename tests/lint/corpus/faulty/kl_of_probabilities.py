# expect: loss-input-mismatch
import torch.nn.functional as F


def distill(student, teacher, x, t=2.0):
    s = F.softmax(student(x) / t, dim=1)
    p = F.softmax(teacher(x) / t, dim=1)
    return F.kl_div(s, p, reduction="batchmean") * t * t
