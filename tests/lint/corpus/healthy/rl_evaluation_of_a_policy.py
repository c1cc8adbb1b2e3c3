import torch
def evaluate(policy_net, env, episodes):
    total = 0.0
    for _ in range(episodes):
        obs, done = env.reset(), False
        while not done:
            action = policy_net(torch.as_tensor(obs)).argmax().item()
            obs, reward, done, _ = env.step(action)
            total += reward
    return total / episodes
