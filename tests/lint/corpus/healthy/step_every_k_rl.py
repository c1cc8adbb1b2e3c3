import torch
import torch.nn.functional as F
for t in range(100000):
    a = policy(obs)
    obs, r, done, _ = env.step(a)
    if t % 4 == 0:
        batch = buffer.sample(64)
        loss = F.mse_loss(q(batch.s), batch.target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
