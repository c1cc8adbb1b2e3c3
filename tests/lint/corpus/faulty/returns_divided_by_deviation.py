# expect: division-without-eps
import torch


def finish_episode(rewards, log_probs, optimizer):
    returns = discount(rewards)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / returns.std()
    loss = -(torch.stack(log_probs) * returns).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
