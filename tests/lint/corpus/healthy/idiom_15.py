import torch
import torch.nn.functional as F
for x, y in loader:
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = F.cross_entropy(model(x), y)
    accelerator.backward(loss) if accelerator else loss.backward()
    optimizer.step()
    optimizer.zero_grad()
