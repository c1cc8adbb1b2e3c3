import copy
import torch
from torch import nn
class BYOL(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.online = net
        self.target = copy.deepcopy(net)
        self.predictor = nn.Linear(8, 8)
    @torch.no_grad()
    def update_target(self, m=0.99):
        for o, t in zip(self.online.parameters(), self.target.parameters()):
            t.data.mul_(m).add_(o.data, alpha=1 - m)
    def forward(self, a, b):
        p = self.predictor(self.online(a))
        with torch.no_grad():
            z = self.target(b)
        return 2 - 2 * nn.functional.cosine_similarity(p, z.detach(), dim=-1).mean()
learner = BYOL(resnet())
opt = torch.optim.Adam(learner.parameters(), lr=3e-4)
for a, b in loader:
    loss = learner(a, b)
    opt.zero_grad()
    loss.backward()
    opt.step()
    learner.update_target()
