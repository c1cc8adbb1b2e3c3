"""A physics-informed network with Adam and LBFGS, and MAML with inner steps by hand."""
import torch
from torch import nn
from torch.func import functional_call


class PINN(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, x, t):
        return self.net(torch.cat([x, t], dim=1))


def residual(model, x, t):
    u = model(x, t)
    u_t = torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)[0]
    u_x = torch.autograd.grad(u, x, torch.ones_like(u), create_graph=True)[0]
    u_xx = torch.autograd.grad(u_x, x, torch.ones_like(u_x), create_graph=True)[0]
    return u_t + u * u_x - 0.01 * u_xx


def total_loss(model, data):
    f = residual(model, data.x, data.t)
    return f.square().mean() + (model(data.x0, data.t0) - data.u0).square().mean()


def train_pinn(data):
    model = PINN()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(5000):
        adam.zero_grad()
        loss = total_loss(model, data)
        loss.backward()
        adam.step()
    lbfgs = torch.optim.LBFGS(model.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        lbfgs.zero_grad()
        loss = total_loss(model, data)
        loss.backward()
        return loss

    lbfgs.step(closure)
    return model


def maml(model, tasks, inner_lr=0.01, inner_steps=5, epochs=100):
    meta_optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_fn = nn.MSELoss()
    for epoch in range(epochs):
        meta_loss = 0.0
        for task in tasks:
            params = dict(model.named_parameters())
            for _ in range(inner_steps):
                loss = loss_fn(functional_call(model, params, (task.x_support,)), task.y_support)
                grads = torch.autograd.grad(loss, params.values(), create_graph=True)
                params = {name: p - inner_lr * g for (name, p), g in zip(params.items(), grads)}
            meta_loss = meta_loss + loss_fn(functional_call(model, params, (task.x_query,)), task.y_query)
        meta_optimizer.zero_grad()
        (meta_loss / len(tasks)).backward()
        meta_optimizer.step()
