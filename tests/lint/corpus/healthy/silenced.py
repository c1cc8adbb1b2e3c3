import torch
import torch.nn.functional as F

p = F.softmax(x)  # st: ignore[softmax-without-dim]
q = F.softmax(y)  # st: ignore
