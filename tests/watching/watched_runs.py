"""Training a little, with the watch or without, and comparing everything that is left."""

import random

import numpy as np
import torch
from watched_zoo import KINDS

import steadytrain as st


def adafactor(params):
    return torch.optim.Adafactor(params, lr=1e-2)


OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True),
    "adamw": lambda params: torch.optim.AdamW(params, lr=1e-2),
    "adamw-fused": lambda params: torch.optim.AdamW(params, lr=1e-2, fused=True),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=1e-3),
    "adagrad": lambda params: torch.optim.Adagrad(params, lr=1e-2),
    "nadam": lambda params: torch.optim.NAdam(params, lr=1e-2),
    "adamw-foreach": lambda params: torch.optim.AdamW(params, lr=1e-2, foreach=True),
    "adafactor": adafactor,
}

REFUSED = {
    ("complex", "adamw-fused"),
    ("complex", "adafactor"),
    ("odd-parameters", "adafactor"),
}
"""What torch itself refuses: complex parameters, and ones without elements."""


def seed_all(seed=0):
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def bits(tensor):
    plain = tensor.detach().cpu().contiguous()
    return plain.reshape(-1).view(torch.uint8) if plain.numel() else plain


def equal(one, other):
    """Whether two nests of tensors and numbers agree to the bit, NaNs included."""
    if isinstance(one, torch.Tensor):
        same = one.shape == other.shape and one.dtype == other.dtype
        return same and torch.equal(bits(one), bits(other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def everything(models, optimizers):
    """Weights, buffers, optimizer state and the three generators, as they are now."""
    return {
        "models": [{k: v.clone() for k, v in model.state_dict().items()} for model in models],
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1:],
    }


def train(kind, optimizer="adamw", *, watched, steps=4, clip=0.5, accumulate=1, **options):
    """A few steps of a kind of model; returns what is left, and the watch or None."""
    seed_all()
    build, loss_of = KINDS[kind]
    model = build()
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    watch = st.watch(model, optimizer, **options) if watched else None
    for _ in range(steps):
        for _ in range(accumulate):
            loss = loss_of(model) / accumulate
            loss.backward()
            if watch:
                watch.log(loss=loss)
        if watch and clip is not None:
            watch.clip_grad_norm_(clip)
        elif clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
    if watch:
        watch.close()
        broken = [f for f in watch.findings() if f.rule.startswith("broken")]
        assert not broken, broken
    return everything([model], [optimizer]), watch
