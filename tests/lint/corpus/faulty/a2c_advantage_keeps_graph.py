# expect: advantage-with-gradient
import torch
import torch.nn as nn


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Linear(4, 2)
        self.critic = nn.Linear(4, 1)


def update(model, optimizer, states, actions, returns):
    dist = torch.distributions.Categorical(logits=model.actor(states))
    log_probs = dist.log_prob(actions)
    values = model.critic(states).squeeze(-1)
    advantage = returns - values
    actor_loss = -(log_probs * advantage).mean()
    critic_loss = advantage.pow(2).mean()
    optimizer.zero_grad()
    (actor_loss + 0.5 * critic_loss).backward()
    optimizer.step()
