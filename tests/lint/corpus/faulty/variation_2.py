# expect: missing-zero-grad
import torch
import torch.nn as nn
import torch.optim as optim
class Solver(object):
    def __init__(self, config):
        self.G = nn.Linear(2, 2)
        self.g_optimizer = optim.Adam(self.G.parameters(), config.lr)
    def train(self):
        data_iter = iter(self.loader)
        for i in range(self.num_iters):
            x = next(data_iter)
            out = self.G(x)
            g_loss = torch.mean((out - x) ** 2)
            g_loss.backward()
            self.g_optimizer.step()
