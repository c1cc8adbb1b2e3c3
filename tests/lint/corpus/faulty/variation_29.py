# expect: advantage-with-gradient
import torch
import torch.nn.functional as F
class A2C:
    def update(self, s, a, r, s2, done):
        v = self.critic(s)
        with torch.no_grad():
            target = r + 0.99 * self.critic(s2) * (1 - done)
        advantage = target - v
        logp = self.actor(s).log_prob(a)
        loss = -(logp * advantage).mean() + F.mse_loss(v, target)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
