import torch
import torch.nn.functional as F
def sac_update(batch):
    with torch.no_grad():
        a2, logp2 = actor.sample(batch.s2)
        target = batch.r + gamma * (torch.min(q1_t(batch.s2, a2), q2_t(batch.s2, a2)) - alpha * logp2)
    q_loss = F.mse_loss(q1(batch.s, batch.a), target) + F.mse_loss(q2(batch.s, batch.a), target)
    q_opt.zero_grad()
    q_loss.backward()
    q_opt.step()
    for p in q1.parameters():
        p.requires_grad = False
    a, logp = actor.sample(batch.s)
    pi_loss = (alpha * logp - q1(batch.s, a)).mean()
    pi_opt.zero_grad()
    pi_loss.backward()
    pi_opt.step()
    for p in q1.parameters():
        p.requires_grad = True
    alpha_loss = -(log_alpha * (logp + target_entropy).detach()).mean()
    alpha_opt.zero_grad()
    alpha_loss.backward()
    alpha_opt.step()
