import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 128)
        self.layer3 = nn.Linear(128, n_actions)

    def forward(self, x):
        return self.layer3(F.relu(self.layer1(x)))


GAMMA, TAU, LR = 0.99, 0.005, 3e-4
policy_net = DQN(4, 2)
target_net = DQN(4, 2)
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=LR, amsgrad=True)


def optimize_model(memory):
    if len(memory) < 128:
        return
    batch = memory.sample(128)
    state_action_values = policy_net(batch.state).gather(1, batch.action)
    next_state_values = torch.zeros(128)
    with torch.no_grad():
        next_state_values[batch.mask] = target_net(batch.next).max(1).values
    expected_state_action_values = (next_state_values * GAMMA) + batch.reward
    criterion = nn.SmoothL1Loss()
    loss = criterion(state_action_values, expected_state_action_values.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()


for i_episode in range(600):
    state = env.reset()
    for t in range(500):
        action = policy_net(state).max(1).indices if random.random() > math.exp(-t) else env.sample()
        observation, reward, done = env.step(action.item())
        optimize_model(memory)
        weights = target_net.state_dict()
        for key, value in policy_net.state_dict().items():
            weights[key] = value * TAU + weights[key] * (1 - TAU)
        target_net.load_state_dict(weights)
        if done:
            break
