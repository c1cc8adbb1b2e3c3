import torch
class Agent:
    def __init__(self, net):
        self.net = net
        self.optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        self.log_probs = []
        self.rewards = []
    def act(self, s):
        dist = torch.distributions.Categorical(logits=self.net(s))
        a = dist.sample()
        self.log_probs.append(dist.log_prob(a))
        return a.item()
    def update(self):
        loss = -(torch.stack(self.log_probs) * torch.tensor(self.rewards)).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.log_probs, self.rewards = [], []
