"""Small programs for the tests of the preflight, and the digest of everything they hold."""

import copy
import random

import numpy as np
import torch
from torch import nn

import steadytrain as st


def classifier(*, width=16, classes=3, batches=4, size=24, loss_fn=None, tail=(), **fields):
    """A small, healthy classifier of points, with `tail` behind its last layer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, classes), *tail)
    points = torch.randn(batches, size, 4)
    labels = (points[..., :classes]).argmax(-1)
    return st.Program(
        model=model,
        optimizer=fields.pop("optimizer", None) or torch.optim.Adam(model.parameters(), lr=1e-3),
        batches=fields.pop("data", None) or list(zip(points, labels, strict=True)),
        loss_fn=loss_fn or cross_entropy,
        **fields,
    )


def regression(*, width=16, size=24, loss_fn=None, tail=(), shift=0.0):
    """A small, healthy regression."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 1), *tail)
    points = torch.randn(4, size, 4)
    targets = points.sum(-1, keepdim=True) / 2 + shift
    return st.Program(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        batches=list(zip(points, targets, strict=True)),
        loss_fn=loss_fn or squared_error,
    )


def cross_entropy(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def squared_error(model, batch):
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def answer(program, check, **options):
    """What one check says of a program."""
    diagnosis = st.preflight(program, select=[check], progress=False, **options)
    return diagnosis.answers[0]


def digest(program):
    """Everything of a program and of the random generators that training would change."""
    model = program.model
    return copy.deepcopy(
        {
            "parameters": {name: p.detach() for name, p in model.named_parameters()},
            "gradients": {name: p.grad for name, p in model.named_parameters()},
            "needed": {name: p.requires_grad for name, p in model.named_parameters()},
            "buffers": dict(model.named_buffers()),
            "modes": [module.training for module in model.modules()],
            "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
            "optimizers": [
                part.state_dict()
                for part in (program.optimizer, program.scheduler, *program.extra.values())
                if hasattr(part, "state_dict")
            ],
            "step": program.step,
            "torch": torch.get_rng_state(),
            "numpy": np.random.get_state(),
            "python": random.getstate(),
            "batches": list(program.batches) if isinstance(program.batches, list) else None,
        }
    )


def same(one, other):
    """Whether two digests are equal, bit for bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other
