import torch
G, D = torch.nn.Linear(8, 4), torch.nn.Linear(4, 1)
opt_g = torch.optim.RMSprop(G.parameters(), lr=5e-5)
opt_d = torch.optim.RMSprop(D.parameters(), lr=5e-5)
for i, real in enumerate(loader):
    opt_d.zero_grad()
    fake = G(torch.randn(len(real), 8)).detach()
    loss_d = -torch.mean(D(real)) + torch.mean(D(fake))
    loss_d.backward()
    opt_d.step()
    for p in D.parameters():
        p.data.clamp_(-0.01, 0.01)
    if i % 5 == 0:
        opt_g.zero_grad()
        loss_g = -torch.mean(D(G(torch.randn(len(real), 8))))
        loss_g.backward()
        opt_g.step()
