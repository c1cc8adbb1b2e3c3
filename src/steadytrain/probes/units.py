"""Which units of a layer are dead: zero on *every* input of several sampled steps.

A healthy ReLU layer is half zeros and has no dead unit. Networks that call `F.relu` show their
dead units at the module that reads them, where the input comes from inside the network.

Stage: forward, on sampled steps. Cost: one pass over what was read of the output; small outputs
are looked at side by side once the step is over. No synchronisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.probes.foreach import SMALL

MIN_WINDOW_CALLS: Final = 3
MIN_WINDOW_INPUTS: Final = 256
MAX_WINDOW_CALLS: Final = 10
"""A probe window ends after three sampled steps with 256 inputs, or after ten."""

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def unit_dim(module: nn.Module, tensor: Tensor) -> int:
    """Which dimension of a module's output counts its units: channels, or the last one."""
    if isinstance(module, _CONVOLUTIONS):
        return tensor.ndim - len(module.kernel_size) - 1
    return 1 if tensor.ndim >= 4 and not isinstance(module, nn.Linear) else tensor.ndim - 1


@dataclass(frozen=True, slots=True)
class Units:
    """What one step shows of a layer's units: a small part as it is, or its peaks."""

    values: Tensor
    """A part of the output with the units in `dim`, or [units] peaks where that is None."""
    dim: int | None
    inputs: int


def units_of(part: Tensor, dim: int, *, may_wait: bool) -> Units:
    """What a part of an output shows of its units.

    Args:
        part: real, detached.
        dim: its units.
        may_wait: whether a small part can be kept as it is, since nobody will write into it.
    """
    if part.ndim == 0:
        part, dim = part.reshape(1), 0
    inputs = part.numel() // max(1, part.shape[dim])
    if part.numel() <= SMALL:
        return Units(part if may_wait else part.clone(), dim, inputs)
    return Units(peaks(part[None], dim + 1)[0], None, inputs)


def peaks(parts: Tensor, dim: int) -> Tensor:
    """The largest magnitude of every unit, of several outputs side by side: [outputs, units].

    Largest magnitudes are vectorised, `any` is not; a NaN is no zero in either.
    """
    others = [d for d in range(1, parts.ndim) if d != dim]
    return parts.abs().amax(dim=others) if others else parts.abs()


@dataclass(slots=True)
class _Window:
    """The largest magnitudes of the units of some layers since it began: [layers, units]."""

    names: tuple[str, ...]
    peak: Tensor
    calls: int = 0
    inputs: int = 0

    def fits(self, names: tuple[str, ...], newest: Tensor) -> bool:
        """Whether it goes on with these."""
        return self.names == names and self.peak.shape == newest.shape

    @property
    def is_over(self) -> bool:
        """Whether it has seen enough."""
        enough = self.calls >= MIN_WINDOW_CALLS and self.inputs >= MIN_WINDOW_INPUTS
        return enough or self.calls >= MAX_WINDOW_CALLS


class UnitWindows:
    """The open probe windows of every layer; layers of one shape share one."""

    def __init__(self) -> None:
        self._open: dict[str, _Window] = {}

    def add(self, seen: Mapping[str, Units]) -> Iterator[tuple[Tensor, list[str]]]:
        """A sampled step is part of the windows; yields dead fractions where they end with it.

        Args:
            seen: the units of the layers that ran, by their names.
        """
        for names, newest, inputs in _side_by_side(seen):
            for window in self._going_on(names, newest):
                window.calls += 1
                window.inputs += inputs
                if window.is_over:
                    for name in window.names:
                        self._open.pop(name, None)
                    yield (window.peak == 0).float().mean(dim=1), list(window.names)

    def _going_on(self, names: tuple[str, ...], newest: Tensor) -> list[_Window]:
        """The windows that the newest peaks belong to, with them."""
        window = self._open.get(names[0])
        if window is not None and window.fits(names, newest):
            torch.maximum(window.peak, newest.to(window.peak), out=window.peak)
            return [window]
        if not any(name in self._open for name in names):
            window = _Window(names, newest)
            self._open |= dict.fromkeys(names, window)
            return [window]
        return [self._alone(name, row) for name, row in zip(names, newest, strict=True)]

    def _alone(self, name: str, newest: Tensor) -> _Window:
        """The layer's own window: its company has changed."""
        old = self._open.get(name)
        window = self._open[name] = _Window((name,), newest[None].clone())
        if old is not None and old.peak.shape[1:] == newest.shape:
            before = old.peak[old.names.index(name)].to(newest)
            torch.maximum(window.peak, before, out=window.peak)
            window.calls, window.inputs = old.calls, old.inputs
        return window


def _side_by_side(seen: Mapping[str, Units]) -> Iterator[tuple[tuple[str, ...], Tensor, int]]:
    """Layers of one shape with the peaks of their units, [layers, units], and their inputs."""
    groups: dict[Any, list[tuple[str, Units]]] = {}
    for name, units in seen.items():
        values = units.values
        key = values.shape, values.dtype, values.device, units.dim, units.inputs
        groups.setdefault(key, []).append((name, units))
    for (*_, dim, inputs), group in groups.items():
        parts = torch.stack([units.values for _, units in group])
        newest = parts if dim is None else peaks(parts, dim + 1)
        yield tuple(name for name, _ in group), newest, inputs
