"""The little that data keeps of how often it was read, put back after the doctor read it."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch

_PLAIN: Final = (int, float, str, bytes, type(None))
"""Types of attributes that count: epochs, positions, seeds."""


@contextmanager
def data_as_it_was(batches: object) -> Iterator[None]:
    """Afterwards counters and generators of the data, its set and its samplers are as before.

    Lists, tensors and files that the data holds are not looked at: what reads them leaves them.
    """
    holders = _holders(batches)
    before = [_state(holder) for holder in holders]
    try:
        yield
    finally:
        for holder, (plain, generators) in zip(holders, before, strict=True):
            vars(holder).update(plain)
            for generator, state in generators:
                _put_back(generator, state)


def _holders(batches: object) -> list[Any]:
    sampler = getattr(batches, "batch_sampler", None)
    found = (
        batches,
        getattr(batches, "dataset", None),
        getattr(batches, "sampler", None),
        sampler,
        getattr(sampler, "sampler", None),
    )
    return [one for one in found if hasattr(one, "__dict__")]


def _state(holder: Any) -> tuple[dict[str, Any], list[tuple[Any, Any]]]:
    values = dict(vars(holder))
    plain = {name: value for name, value in values.items() if isinstance(value, _PLAIN)}
    generators = [(v, state) for v in values.values() if (state := _generator_state(v)) is not None]
    return plain, generators


def _generator_state(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, np.random.Generator):
        return copy.deepcopy(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return value.get_state()
    return value.getstate() if isinstance(value, random.Random) else None


def _put_back(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)
