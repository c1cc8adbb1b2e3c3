"""Small programs for the tests of the training loop."""

import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steadytrain as st
from steadytrain.optim import warmup_cosine

OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    "adamw": lambda params: torch.optim.AdamW(params, lr=1e-2),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=1e-3, momentum=0.5),
}


def seed_everything(seed):
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def mean_squared_error(model, batch):
    inputs, targets = batch
    return ((model(inputs) - targets) ** 2).mean()


def make_model(width=8):
    return nn.Sequential(
        nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, 1)
    )


def make_data(items=44):
    inputs = torch.randn(items, 4, generator=torch.Generator().manual_seed(5))
    return TensorDataset(inputs, inputs.sum(1, keepdim=True))


def make_program(seed=0, optimizer="sgd", own_generator=False, **fields):
    """A model with dropout and batch norm on shuffled data, scheduled."""
    seed_everything(seed)
    generator = torch.Generator().manual_seed(seed) if own_generator else None
    model = fields.pop("model", None) or make_model()
    made = OPTIMIZERS[optimizer](model.parameters())
    schedule = warmup_cosine(warmup_steps=3, total_steps=30)
    defaults = {
        "model": model,
        "optimizer": made,
        "batches": DataLoader(make_data(), batch_size=8, shuffle=True, generator=generator),
        "loss_fn": mean_squared_error,
        "scheduler": torch.optim.lr_scheduler.LambdaLR(made, schedule),
    }
    return st.Program(**(defaults | fields))


def tensors_of(value, path=""):
    """Every tensor in a nest of state, by path."""
    if isinstance(value, torch.Tensor):
        return {path: value.detach().clone()}
    if isinstance(value, np.ndarray):
        return {path: torch.from_numpy(value.copy())}
    if isinstance(value, dict):
        value = value.items()
    elif isinstance(value, list | tuple):
        value = enumerate(value)
    else:
        return {path: torch.tensor(value)} if isinstance(value, int | float) else {}
    found = {}
    for key, item in value:
        found |= tensors_of(item, f"{path}/{key}")
    return found


def everything(program):
    """Every number that training changes, and every global generator's state."""
    parts = [program.model, program.optimizer, program.scheduler, program.scaler]
    states = [part.state_dict() for part in parts if part is not None]
    random_state = [torch.get_rng_state(), np.random.get_state()[1:3], random.getstate()[1]]
    return tensors_of([states, random_state])


def assert_same(a, b):
    assert a.keys() == b.keys()
    different = [key for key in a if not torch.equal(a[key], b[key])]
    assert different == [], different
