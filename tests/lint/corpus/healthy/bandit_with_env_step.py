import torch
class Policy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 2)
    def forward(self, s):
        return torch.softmax(self.fc(s), dim=-1)
policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
for episode in range(1000):
    s, done, logps, rewards = env.reset(), False, [], []
    while not done:
        m = torch.distributions.Categorical(policy(torch.as_tensor(s)))
        a = m.sample()
        logps.append(m.log_prob(a))
        s, r, done, _ = env.step(a.item())
        rewards.append(r)
    returns = torch.tensor(discount(rewards))
    returns = (returns - returns.mean()) / (returns.std() + 1e-9)
    loss = torch.stack([-l * g for l, g in zip(logps, returns)]).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
