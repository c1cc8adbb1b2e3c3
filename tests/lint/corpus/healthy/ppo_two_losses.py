import torch
for _ in range(K):
    for idx in minibatches:
        pi_loss, vf_loss = losses(idx)
        pi_optimizer.zero_grad()
        pi_loss.backward()
        torch.nn.utils.clip_grad_norm_(actor.parameters(), 0.5)
        pi_optimizer.step()
        vf_optimizer.zero_grad()
        vf_loss.backward()
        vf_optimizer.step()
