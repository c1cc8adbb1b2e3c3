import numpy as np


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


class Optimizer:
    def step(self, params, grads):
        for p, g in zip(params, grads):
            p.data -= 0.1 * g


def train(data):
    opt = Optimizer()
    for x, y in data:
        loss = ((x - y) ** 2).mean()
        if loss > 100:
            break
        opt.step([x], [y])
