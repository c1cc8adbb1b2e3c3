"""A few numbers of every moment, looked at between two steps: nothing writes there but the optimizer.

A state that was lost, zeroed, exchanged or overwritten at rest differs in nearly every number, so a
handful of each tensor tells; what differs in one bit only a whole seal sees. Ordinary operations in
place raise torch's version counter: they are somebody's intention, and left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from steadytrain.guard._parts import Parts, held

NUM_NUMBERS: Final = 16
"""Numbers of a tensor that are looked at, spread over it."""

NUM_TENSORS: Final = 64
"""Tensors that are looked at in one step; where there are more they take turns."""

TURN_STEPS: Final = 64
"""Steps after which other tensors are chosen."""

STRIKES: Final = 3
"""Changes of one tensor after which it is somebody's way of training."""

_Kind = tuple[torch.device, torch.dtype]


@dataclass(frozen=True, slots=True)
class _Moment:
    name: str
    parameter: Tensor
    key: str
    tensor: Tensor
    numbers: Tensor
    """A view of some of its elements."""
    state: Any
    """The optimizer's, by parameter."""

    @property
    def kind(self) -> _Kind:
        return self.tensor.device, self.tensor.dtype

    @property
    def is_live(self) -> bool:
        return self.state.get(self.parameter, {}).get(self.key) is self.tensor


class Moments:
    """Looks at a sample of the optimizers' moments after a step and before the next.

    Cost: some ten microseconds, and as much again where the sample is chosen anew.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._chosen: list[_Moment] = []
        self._groups: dict[_Kind, list[Tensor]] = {}
        self._copies: list[Tensor] = []
        self._versions: list[int] = []
        self._strikes: Counter[str] = Counter()
        self._num_closed = 0

    def close(self) -> None:
        """What the moments hold now is what `look` compares with."""
        if self._num_closed % TURN_STEPS == 0 or not all(one.is_live for one in self._chosen):
            self._choose()
        self._num_closed += 1 if self._chosen else 0
        self._copies = self._gathered()
        self._versions = [_version(one.tensor) for one in self._chosen]

    def look(self) -> list[str]:
        """The names of the moments that changed since `close` although nothing wrote to them."""
        if not self._copies:
            return []
        now, before = self._gathered(), self._copies
        self._copies = []
        if all(_same(a, b) for a, b in zip(now, before, strict=True)):
            return []
        return list(self._changed(before))

    def _changed(self, before: Sequence[Tensor]) -> Iterator[str]:
        flat = {
            kind: list(copy.split([one.numel() for one in numbers]))
            for (kind, numbers), copy in zip(self._groups.items(), before, strict=True)
        }
        for one, version in zip(self._chosen, self._versions, strict=True):
            was = flat[one.kind].pop(0)
            if _same(one.numbers, was) or not one.is_live or version != _version(one.tensor):
                continue
            self._strikes[one.name] += 1
            if self._strikes[one.name] < STRIKES:
                yield one.name

    def _choose(self) -> None:
        found = list(self._found())
        turns = max(1, -(-len(found) // NUM_TENSORS))
        turn = self._num_closed // TURN_STEPS % turns
        self._chosen = found[turn::turns]
        self._groups = {}
        for one in self._chosen:
            self._groups.setdefault(one.kind, []).append(one.numbers)

    def _gathered(self) -> list[Tensor]:
        """The numbers of all moments, one tensor per device and dtype."""
        return [torch.cat(numbers) for numbers in self._groups.values()]

    def _found(self) -> Iterator[_Moment]:
        names = self._parts.parameter_names()
        for optimizer in self._parts.optimizers:
            states = getattr(optimizer, "state", None)
            if not isinstance(states, dict):
                continue
            for parameter in held(optimizer):
                state = states.get(parameter)
                for key, value in state.items() if isinstance(state, dict) else ():
                    if isinstance(value, Tensor) and _can_be_viewed(value):
                        name = f"{key} of {names.get(id(parameter), 'a parameter')}"
                        yield _Moment(name, parameter, key, value, _spread(value), states)


def _can_be_viewed(value: Tensor) -> bool:
    plain = type(value) is Tensor and value.layout is torch.strided and value.is_contiguous()
    return plain and value.is_floating_point() and value.numel() > 1


def _spread(value: Tensor) -> Tensor:
    flat = value.detach().view(-1)
    return flat[:: max(1, flat.numel() // NUM_NUMBERS)][:NUM_NUMBERS]


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two are the same numbers; one NaN is like another."""
    return torch.equal(a, b) or bool(((a == b) | (a.isnan() & b.isnan())).all())


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version
