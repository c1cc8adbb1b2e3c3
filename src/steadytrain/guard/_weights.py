"""The norms of the weights after every step: one pass that sees what is not finite and what leapt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from steadytrain.guard._measure import norms_of, numbers_of
from steadytrain.guard._parts import held
from steadytrain.guard.detect_leap import LeapDetector


@dataclass(slots=True)
class _Series:
    """The weights of the optimizers that step together."""

    detector: LeapDetector = field(default_factory=LeapDetector)
    tensors: list[Tensor] = field(default_factory=list[Tensor])
    versions: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, slots=True)
class Weighed:
    """What one look at the weights found."""

    norms: list[float]
    sizes: list[int]
    leapt: list[Tensor]

    @property
    def is_finite(self) -> bool:
        """Whether every number of every weight is."""
        return all(map(math.isfinite, self.norms))


class Weights:
    """Looks at the weights once a step was taken, and remembers those of steps that stand."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def begin(self) -> None:
        """A step begins: weights that code wrote to since the last one are no step's doing."""
        for series in self._series.values():
            versions = list(map(_version, series.tensors))
            pairs = enumerate(zip(versions, series.versions, strict=True))
            series.detector.forget([place for place, (now, then) in pairs if now != then])

    def rebase(self) -> None:
        """The weights were put back: the next step is compared with what they hold now."""
        for series in self._series.values():
            numbers = [one for p in series.tensors if (one := numbers_of(p)) is not None]
            norms, sizes = norms_of(numbers), [one.numel() for one in numbers]
            series.detector.rebase(norms, sizes)
            series.versions = list(map(_version, series.tensors))

    def weigh(self, optimizers: Sequence[Any], key: str) -> Weighed:
        """The norms after a step. Cost: a pass over the weights, one reading of the device."""
        tensors = list({id(p): p for one in optimizers for p in held(one)}.values())
        pairs = [(p, numbers) for p in tensors if (numbers := numbers_of(p)) is not None]
        pairs = [(p, numbers) for p, numbers in pairs if numbers.numel()]
        series = self._series.setdefault(key, _Series())
        if len(pairs) != len(series.tensors) or any(
            p is not known for (p, _), known in zip(pairs, series.tensors, strict=True)
        ):
            self._series[key] = series = _Series(tensors=[p for p, _ in pairs])
            series.versions = list(map(_version, series.tensors))
        norms = norms_of([numbers for _, numbers in pairs])
        sizes = [numbers.numel() for _, numbers in pairs]
        leapt = [series.tensors[place] for place in series.detector.leaps(norms, sizes)]
        return Weighed(norms, sizes, leapt)

    def accept(self, weighed: Weighed, key: str) -> None:
        """The step stands."""
        series = self._series[key]
        series.detector.accept(weighed.norms, weighed.sizes)
        for one in self._series.values():  # optimizers may share a tensor
            one.versions = list(map(_version, one.tensors))


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version
