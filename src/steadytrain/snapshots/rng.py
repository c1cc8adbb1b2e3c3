"""Every random number generator a training step may draw from, as one restorable state."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class RandomSources:
    """Python's, NumPy's and torch's global generators, those of `devices`, and own ones."""

    devices: tuple[torch.device, ...] = ()
    generators: tuple[torch.Generator, ...] = ()

    @classmethod
    def of(cls, model: torch.nn.Module, batches: object) -> RandomSources:
        """The sources that training `model` on `batches` may draw from."""
        devices = {p.device for p in model.parameters() if p.device.type not in ("cpu", "meta")}
        return cls(tuple(sorted(devices, key=str)), tuple(loader_generators(batches)))

    def capture(self) -> dict[str, Any]:
        """The state of every source; what is drawn later does not change it."""
        return {
            "python": random.getstate(),
            "numpy": np.random.get_state(legacy=False),
            "cpu": torch.get_rng_state(),
            "devices": {str(device): _device_state(device) for device in self.devices},
            "generators": [generator.get_state() for generator in self.generators],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Every source goes on as it did after `capture`; a device that is not here is left."""
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["cpu"])
        for device in self.devices:
            if str(device) in state["devices"]:
                _set_device_state(device, state["devices"][str(device)])
        for generator, own in zip(self.generators, state["generators"], strict=False):
            generator.set_state(own)

    def moved(self, state: dict[str, Any]) -> bool:
        """Whether any source has drawn, or was set, since `state` was captured."""
        return not same_state(self.capture(), state)

    def state_dict(self) -> dict[str, Any]:
        """`capture` under the name that snapshots ask every part for."""
        return self.capture()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """`restore` under the name that snapshots ask every part for."""
        self.restore(state)


def same_state(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two states of the same sources, as `RandomSources.capture` gives them, are equal."""
    if one["python"] != other["python"] or not _same_numpy(one["numpy"], other["numpy"]):
        return False
    tensors = [(one["cpu"], other["cpu"])]
    tensors += [(state, other["devices"].get(name)) for name, state in one["devices"].items()]
    tensors += list(zip(one["generators"], other["generators"], strict=True))
    return all(b is not None and torch.equal(a, b) for a, b in tensors)


def loader_generators(batches: object) -> Iterable[torch.Generator]:
    """The generators a DataLoader or one of its samplers was given, each once."""
    found: dict[int, torch.Generator] = {}
    batch_sampler = getattr(batches, "batch_sampler", None)
    samplers = (getattr(batches, "sampler", None), getattr(batch_sampler, "sampler", None))
    for holder in (batches, batch_sampler, *samplers):
        generator = getattr(holder, "generator", None)
        if isinstance(generator, torch.Generator):
            found.setdefault(id(generator), generator)
    return found.values()


def _same_numpy(a: Any, b: Any) -> bool:
    if a.keys() != b.keys():
        return False
    pairs = [(a[key], b[key]) for key in a]
    return all(_same_numpy(x, y) if isinstance(x, dict) else np.array_equal(x, y) for x, y in pairs)


def _device_state(device: torch.device) -> torch.Tensor:
    module = cast("Any", torch.get_device_module(device))
    return module.get_rng_state() if device.type == "mps" else module.get_rng_state(device)


def _set_device_state(device: torch.device, state: torch.Tensor) -> None:
    module = cast("Any", torch.get_device_module(device))
    if device.type == "mps":
        module.set_rng_state(state)
    else:
        module.set_rng_state(state, device)
