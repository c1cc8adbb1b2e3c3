import torch

z = torch.zeros(1, 64, requires_grad=True)
generator = load_generator().eval()
optimizer = torch.optim.Adam([z], lr=0.05)
for step in range(500):
    optimizer.zero_grad()
    loss = (generator(z) - target).square().mean()
    loss.backward()
    optimizer.step()
