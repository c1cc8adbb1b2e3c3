# expect: missing-zero-grad
import torch
import torch.nn.functional as F


class DQNAgent:
    def __init__(self, q_net, target_net, lr=1e-3):
        self.q_net = q_net
        self.target_net = target_net
        self.optimizer = torch.optim.Adam(self.q_net.parameters(), lr=lr)

    def learn(self, s, a, r, s2, done):
        q = self.q_net(s).gather(1, a)
        with torch.no_grad():
            target = r + 0.99 * (1 - done) * self.target_net(s2).max(1, keepdim=True)[0]
        loss = F.smooth_l1_loss(q, target)
        loss.backward()
        self.optimizer.step()
