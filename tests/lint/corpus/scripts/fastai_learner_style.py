"""A learner with callbacks and exceptions as control flow, as in the fastai book."""
import operator
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn, optim


class CancelBatchException(Exception):
    pass


class CancelEpochException(Exception):
    pass


class Callback:
    order = 0


class TrainCB(Callback):
    def predict(self, learn):
        learn.preds = learn.model(learn.batch[0])

    def get_loss(self, learn):
        learn.loss = learn.loss_func(learn.preds, learn.batch[1])

    def backward(self, learn):
        learn.loss.backward()

    def step(self, learn):
        learn.opt.step()

    def zero_grad(self, learn):
        learn.opt.zero_grad()


class Learner:
    def __init__(self, model, dls, loss_func=F.mse_loss, lr=0.1, cbs=None, opt_func=optim.SGD):
        self.model, self.dls, self.loss_func, self.lr = model, dls, loss_func, lr
        self.cbs, self.opt_func = cbs or [], opt_func

    def callback(self, name):
        for cb in sorted(self.cbs, key=operator.attrgetter("order")):
            method = getattr(cb, name, None)
            if method is not None:
                method(self)

    def one_batch(self):
        try:
            self.callback("before_batch")
            self.callback("predict")
            self.callback("get_loss")
            if self.model.training:
                self.callback("backward")
                self.callback("step")
                self.callback("zero_grad")
            self.callback("after_batch")
        except CancelBatchException:
            pass

    def one_epoch(self, train):
        self.model.train(train)
        self.dl = self.dls.train if train else self.dls.valid
        for self.num, self.batch in enumerate(self.dl):
            self.one_batch()

    def fit(self, n_epochs):
        self.opt = self.opt_func(self.model.parameters(), self.lr)
        for self.epoch in range(n_epochs):
            self.one_epoch(True)
            with torch.no_grad():
                self.one_epoch(False)


def fit(epochs, model, loss_func, opt, train_dl, valid_dl):
    for epoch in range(epochs):
        model.train()
        for xb, yb in train_dl:
            loss = loss_func(model(xb), yb)
            loss.backward()
            opt.step()
            opt.zero_grad()
        model.eval()
        with torch.no_grad():
            tot_loss, tot_acc, count = 0.0, 0.0, 0
            for xb, yb in valid_dl:
                pred = model(xb)
                n = len(xb)
                count += n
                tot_loss += loss_func(pred, yb).item() * n
        print(epoch, tot_loss / count)


def lsuv_init(m, m_in, xb, model):
    with torch.no_grad():
        while model(xb) is not None and (abs(m_in.std - 1) > 1e-3 or abs(m_in.mean) > 1e-3):
            m.bias -= m_in.mean
            m.weight.data /= m_in.std


learn = Learner(nn.Linear(3, 1), None, cbs=[TrainCB()], opt_func=partial(optim.SGD, momentum=0.9))
