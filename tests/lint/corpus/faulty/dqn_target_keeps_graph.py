# expect: target-with-gradient
import torch
import torch.nn as nn
import torch.nn.functional as F

GAMMA = 0.99
policy_net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.AdamW(policy_net.parameters(), lr=1e-4)


def optimize_model(batch):
    state_action_values = policy_net(batch.state).gather(1, batch.action)
    next_values = policy_net(batch.next_state).max(1)[0]
    expected = batch.reward + GAMMA * next_values
    loss = F.smooth_l1_loss(state_action_values, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
