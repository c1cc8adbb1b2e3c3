import torch

opt_q = torch.optim.Adam(q.parameters())
opt_pi = torch.optim.Adam(pi.parameters())
for batch in loader:
    h = encoder(batch)
    opt_q.zero_grad()
    q_loss = q(h).pow(2).mean()
    q_loss.backward(retain_graph=True)
    opt_pi.zero_grad()
    pi_loss = -pi(h).mean()
    pi_loss.backward()
    opt_q.step()
    opt_pi.step()
