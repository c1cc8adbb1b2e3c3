"""A stretch of code after which every random source goes on as if it had not been run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def randomness_kept(model: nn.Module, batches: object) -> Iterator[None]:
    """Puts back Python's, NumPy's and torch's generators, those of the model's devices and data."""
    python, arrays = random.getstate(), np.random.get_state(legacy=False)
    generators = [(one, one.get_state()) for one in _generators(batches)]
    devices = {p.device for p in model.parameters() if p.device.type not in ("cpu", "meta")}
    kinds = sorted({device.type for device in devices}) or ["cuda"]
    try:
        # a model lives on one kind of device
        with torch.random.fork_rng(devices=sorted(devices, key=str), device_type=kinds[0]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        for generator, state in generators:
            generator.set_state(state)


def _generators(batches: object) -> list[torch.Generator]:
    """The generators a DataLoader or one of its samplers was given, each once."""
    batch_sampler = getattr(batches, "batch_sampler", None)
    samplers = (getattr(batches, "sampler", None), getattr(batch_sampler, "sampler", None))
    found = [getattr(holder, "generator", None) for holder in (batches, batch_sampler, *samplers)]
    return list({id(one): one for one in found if isinstance(one, torch.Generator)}.values())
