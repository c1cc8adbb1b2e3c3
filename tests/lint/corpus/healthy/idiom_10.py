import torch
def grpo(policy, ref, batch, optimizer):
    rewards = batch.rewards
    advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    logp = policy.log_probs(batch)
    with torch.no_grad():
        ref_logp = ref.log_probs(batch)
    ratio = torch.exp(logp - logp.detach())
    kl = torch.exp(ref_logp - logp) - (ref_logp - logp) - 1
    loss = -(ratio * advantages - 0.04 * kl).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizer.step()
