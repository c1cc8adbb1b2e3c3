import torch


def update(model, optimizer, states, actions, returns):
    values = model.critic(states).squeeze(-1)
    advantage = returns - values
    log_prob = model.dist(states).log_prob(actions)
    actor_loss = -(log_prob * advantage.detach()).mean()
    critic_loss = advantage.pow(2).mean()
    optimizer.zero_grad()
    (actor_loss + 0.5 * critic_loss).backward()
    optimizer.step()
