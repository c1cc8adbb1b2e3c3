import torch
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
model = FSDP(build().cuda(), use_orig_params=True)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
for step, batch in enumerate(loader):
    optimizer.zero_grad()
    loss = model(batch).loss
    loss.backward()
    model.clip_grad_norm_(1.0)
    optimizer.step()
