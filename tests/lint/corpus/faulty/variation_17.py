# expect: detached-loss
import torch
from torch.autograd import Variable
model = torch.nn.Linear(2, 2)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    opt.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss = torch.tensor(loss.data, requires_grad=True)
    loss.backward()
    opt.step()
