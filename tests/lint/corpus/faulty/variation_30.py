# expect: target-with-gradient
import torch
import torch.nn as nn
class Agent:
    def __init__(self):
        self.q = nn.Linear(4, 2)
        self.opt = torch.optim.Adam(self.q.parameters())
        self.gamma = 0.9
    def learn(self, s, a, r, s2):
        q = self.q(s).gather(1, a)
        q_target = r + self.gamma * self.q(s2).max(1)[0].view(-1, 1)
        loss = nn.MSELoss()(q, q_target)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
