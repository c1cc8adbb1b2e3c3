import torch
from torch.profiler import profile, schedule
def batches(loader):
    while True:
        yield from loader
with profile(schedule=schedule(wait=1, warmup=1, active=3)) as prof:
    for step, (x, y) in zip(range(100), batches(loader)):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        prof.step()
