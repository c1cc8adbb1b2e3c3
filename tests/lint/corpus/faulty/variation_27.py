# expect: graph-cut-before-loss
import torch
import torch.nn.functional as F
for x, y in loader:
    optimizer.zero_grad()
    out = model(x)
    _, pred = torch.max(out, 1)
    loss = F.mse_loss(pred.float(), y.float())
    loss.backward()
    optimizer.step()
