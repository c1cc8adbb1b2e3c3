import torch
from torch import nn
class VQ(nn.Module):
    def forward(self, z):
        d = torch.cdist(z, self.codebook)
        idx = d.argmin(-1)
        q = self.codebook[idx]
        loss = ((q.detach() - z) ** 2).mean() + 0.25 * ((q - z.detach()) ** 2).mean()
        q = z + (q - z).detach()
        return q, loss
for x in loader:
    opt.zero_grad()
    z = enc(x)
    q, vq_loss = vq(z)
    loss = nn.functional.mse_loss(dec(q), x) + vq_loss
    loss.backward()
    opt.step()
