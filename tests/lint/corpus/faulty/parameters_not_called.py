# expect: uncalled-method
import torch
from torch import nn

model = nn.Linear(2, 2)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
torch.nn.utils.clip_grad_norm_(model.parameters, 1.0)
