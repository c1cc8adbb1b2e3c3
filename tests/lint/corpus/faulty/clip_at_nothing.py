# expect: clip-threshold
import torch
from torch.nn.utils import clip_grad_norm_

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    clip_grad_norm_(model.parameters(), max_norm=1e-5)
    optimizer.step()
