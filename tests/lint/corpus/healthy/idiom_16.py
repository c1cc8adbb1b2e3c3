import torch
from apex_like import FP16_Optimizer
optimizer = FP16_Optimizer(torch.optim.Adam(model.parameters()))
for x in loader:
    optimizer.zero_grad()
    loss = model(x).mean()
    optimizer.backward(loss)
    optimizer.clip_master_grads(1.0)
    optimizer.step()
