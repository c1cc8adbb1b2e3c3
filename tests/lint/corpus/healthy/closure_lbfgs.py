import torch

x = torch.randn(3, requires_grad=True)
optimizer = torch.optim.LBFGS([x], lr=1, line_search_fn="strong_wolfe")
for i in range(20):

    def closure():
        optimizer.zero_grad()
        loss = (x ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
