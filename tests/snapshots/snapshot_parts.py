"""Parts to take snapshots of, and what to compare them by."""

import random

import numpy as np
import torch
from torch import nn

from steadytrain.snapshots import RandomSources, capture
from steadytrain.store.files import Disk


class HandWrittenAverage:
    """An average of weights as people write it: no state_dict, a reference to the model."""

    def __init__(self, model, decay=0.9):
        self.model = model
        self.decay = decay
        self.num_updates = 0
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}

    def update(self):
        self.num_updates += 1
        for name, p in self.model.named_parameters():
            self.shadow[name].lerp_(p.detach(), 1 - self.decay)


class Counting(nn.Module):
    """Counts its calls and carries a state, as attributes and as a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.num_calls = 0
        self.carried = torch.zeros(8)
        self.register_buffer("seen", torch.zeros(8), persistent=False)

    def forward(self, inputs):
        self.num_calls += 1
        self.carried = 0.5 * self.carried + inputs.mean(0).detach()
        self.seen = self.seen + 1
        return inputs + 0.01 * self.carried


def make_model():
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), Counting(), nn.Dropout(0.3), nn.Linear(8, 1)
    )


def make_parts(optimizer=torch.optim.AdamW, seed=0):
    """A model with everything a step can change around it."""
    torch.manual_seed(seed)
    model = make_model()
    made = optimizer(model.parameters(), lr=0.01)
    return {
        "model": model,
        "optimizer": made,
        "scheduler": torch.optim.lr_scheduler.LambdaLR(made, lambda step: 1 / (step + 1)),
        "ema": torch.optim.swa_utils.AveragedModel(model),
        "average": HandWrittenAverage(model),
        "scaler": torch.amp.GradScaler("cpu", init_scale=8.0),
        "extra": {"rows": [], "generator": np.random.default_rng(3), "count": 0},
        "rng": RandomSources(),
    }


def train(parts, steps):
    """Some steps in which everything moves, drawn from every generator."""
    model, extra = parts["model"], parts["extra"]
    for _ in range(steps):
        inputs = torch.randn(6, 4) + random.random() + float(np.random.rand())
        inputs = inputs + float(extra["generator"].normal())

        def closure(inputs=inputs):
            parts["optimizer"].zero_grad()
            loss = model(inputs).square().mean()
            loss.backward()
            return loss

        parts["optimizer"].step(closure)
        parts["scheduler"].step()
        parts["ema"].update_parameters(model)
        parts["average"].update()
        extra["count"] += 1
        extra["rows"] = [*extra["rows"][-3:], inputs[0]]


def state_of(parts):
    """All of it as nodes and copies: two that are equal are equal to the bit."""
    taken = capture(parts)
    return taken.parts, taken.names, taken.tensors


def assert_same_state(a, b):
    assert a[0] == b[0]
    pairs = zip(a[1], a[2], b[2], strict=True)
    different = [name for name, x, y in pairs if not same_bits(x, y)]
    assert different == []


def same_bits(a, b):
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not a.numel():
        return True
    return bool((as_bytes(a) == as_bytes(b)).all())


def as_bytes(tensor):
    return tensor.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8)


class Killed(BaseException):
    """What a killed process looks like from within: nothing after it runs."""


class FailingDisk(Disk):
    """Fails, or dies, at one call; counts them all.

    Dying leaves what was done before: every later call does nothing, as those of a dead process.
    """

    CALLS = ("make_directory", "create", "write", "sync", "close", "replace", "remove")

    def __init__(self, at=-1, error=None):
        self.num_calls = 0
        self.names = []
        self._at = at
        self._error = error
        self._dead = False

    def _die(self):
        raise self._error

    def __getattribute__(self, name):
        own = object.__getattribute__(self, name)
        if name not in FailingDisk.CALLS and name != "sync_directory":
            return own

        def call(*args):
            if self._dead:
                raise self._error
            self.num_calls += 1
            self.names.append(name)
            if self.num_calls - 1 == self._at:
                self._dead = not isinstance(self._error, Exception)
                if name == "write" and self._dead:
                    own(args[0], args[1][: len(args[1]) // 2])  # half of it reached the disk
                self._die()
            return own(*args)

        return call
