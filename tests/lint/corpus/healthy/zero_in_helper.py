import torch


def update(optimizer, loss, params, max_norm):
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, max_norm)
    optimizer.step()


model = torch.nn.Linear(4, 1)
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for x, y in loader:
    update(opt, (model(x) - y).square().mean(), model.parameters(), 1.0)
