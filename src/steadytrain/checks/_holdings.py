"""Which parameters a model has, and which optimizer holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from steadytrain.core.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A tensor in an optimizer, and where it stands there."""

    tensor: Tensor
    optimizer: str
    """`optimizer`, or the path in `extra`."""
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """The parameters of a program's model beside what its optimizers hold."""

    names: Mapping[int, str]
    """The first path of every parameter of the model, by id, in order of registration."""
    parameters: Mapping[int, Tensor]
    optimizers: Mapping[str, Optimizer]
    held: Mapping[int, tuple[Holding, ...]]
    """By the id of the tensor; a tensor in two groups or optimizers has two."""
    elsewhere: frozenset[int]
    """Parameters of the other modules, and leaf tensors, that stand in `extra`."""

    @property
    def missing(self) -> list[int]:
        """Parameters that want a gradient and are in no optimizer."""
        return [
            key
            for key, parameter in self.parameters.items()
            if parameter.requires_grad and key not in self.held
        ]

    @property
    def replaced(self) -> list[int]:
        """Missing parameters for which an optimizer holds a stranger of the same shape."""
        shapes = Counter(tuple(one.shape) for one in self.strangers)
        found: list[int] = []
        for key in self.missing:
            shape = tuple(self.parameters[key].shape)
            if shapes[shape] > 0:
                shapes[shape] -= 1
                found.append(key)
        return found

    @property
    def strangers(self) -> list[Tensor]:
        """What an optimizer holds that nothing in the program owns."""
        return [
            places[0].tensor
            for key, places in self.held.items()
            if key not in self.parameters and key not in self.elsewhere
        ]


def holdings_of(program: Program) -> Holdings:
    """Who holds what, read from the program without running it."""
    optimizers = dict(optimizers_of(program))
    held: dict[int, list[Holding]] = {}
    for name, optimizer in optimizers.items():
        for place, group in enumerate(optimizer.param_groups):
            for tensor in group["params"]:
                one = Holding(tensor=tensor, optimizer=name, group=place)
                held.setdefault(id(tensor), []).append(one)
    named = {id(p): (name, p) for name, p in program.model.named_parameters()}
    return Holdings(
        names={key: name for key, (name, _) in named.items()},
        parameters={key: parameter for key, (_, parameter) in named.items()},
        optimizers=optimizers,
        held={key: tuple(places) for key, places in held.items()},
        elsewhere=frozenset(_leaves(program.extra)),
    )


def optimizers_of(program: Program) -> Iterator[tuple[str, Optimizer]]:
    """The program's optimizer, and every other one in `extra`, each once."""
    seen = {id(program.optimizer)}
    yield "optimizer", program.optimizer
    for path, value in _inside(program.extra, "extra", depth=4):
        if isinstance(value, Optimizer) and id(value) not in seen:
            seen.add(id(value))
            yield path, value


def scalers_of(program: Program) -> list[torch.amp.GradScaler]:
    """Every loss scaler of the program that is switched on."""
    inside = (value for _, value in _inside(program.extra, "extra", depth=4))
    found = {id(one): one for one in (program.scaler, *inside)}
    kinds = [one for one in found.values() if isinstance(one, torch.amp.GradScaler)]
    return [one for one in kinds if one.is_enabled()]


def _leaves(extra: Mapping[str, Any]) -> Iterator[int]:
    for _, value in _inside(extra, "extra", depth=4):
        if isinstance(value, nn.Module):
            yield from map(id, value.parameters())
        elif isinstance(value, Tensor):
            yield id(value)


def _inside(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Everything in nested mappings, lists and plain objects, with its path."""
    yield path, value
    if depth == 0 or isinstance(value, str | bytes | Tensor | nn.Module | Optimizer | type):
        return
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(place), item) for place, item in enumerate(value[:64])]
    else:
        items = list(getattr(value, "__dict__", {}).items()) if path != "extra" else []
    for name, item in items:
        yield from _inside(item, f"{path}.{name}", depth - 1)
