"""The numbers a step is judged by: a few reductions and one reading of the device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.guard._parts import Parts
from steadytrain.optim._norms import elements, result_dtype, total_norm
from steadytrain.optim._shards import local

NUM_NAMED = 3
"""Culprits that are named; the others are counted."""


@torch.no_grad()
def gradient_norm(grads: Sequence[Tensor]) -> Tensor:
    """The L2 norm of all gradients, not finite only where an element is not."""
    return total_norm(grads) if grads else torch.zeros(())


def ceiling(grads: Sequence[Tensor]) -> float:
    """The largest norm whose square the widest of the gradients' dtypes holds."""
    return math.sqrt(torch.finfo(result_dtype(grads)).max)


def read(values: Sequence[Tensor | float | None]) -> list[float | None]:
    """The values as numbers: one transfer for those that are on a device."""
    tensors = [one for one in values if isinstance(one, Tensor)]
    if not tensors:
        return [None if one is None else float(one) for one in values]
    home = tensors[0].device
    wide = torch.float32 if home.type == "mps" else torch.float64
    packed = [one.detach().reshape(()).to(home, wide) for one in tensors]
    numbers = iter(torch.stack(packed).tolist())
    return [next(numbers) if isinstance(one, Tensor) else one for one in values]


class Buffers:
    """The floating-point buffers whose size is followed: not those that held infinities at first.

    A mask of minus infinity is a constant of many models; it is no damage.

    Args:
        models: whose buffers are followed.
        averages: whose buffers are known, but not part of the norm.
    """

    def __init__(self, models: Sequence[nn.Module], averages: Sequence[nn.Module] = ()) -> None:
        self._models = models
        self._averages = averages
        self._known: dict[str, bool] = {}
        for _ in self.named():
            pass

    @torch.no_grad()
    def norm(self) -> Tensor | None:
        """The L2 norm of the models' buffers together; None where there is none."""
        followed = [one for _, one in self._of("", self._models) if one.numel()]
        return total_norm(followed) if followed else None

    def named(self) -> Iterator[tuple[str, Tensor]]:
        """The numbers of every buffer that is followed, by its name."""
        yield from self._of("", self._models)
        yield from self._of("average of ", self._averages)

    def _of(self, what: str, modules: Sequence[nn.Module]) -> Iterator[tuple[str, Tensor]]:
        for place, module in enumerate(modules):
            for name, buffer in module.named_buffers():
                if (numbers := _numbers(buffer)) is None:
                    continue
                key = f"{what}{place}.{name}"
                if key not in self._known:
                    self._known[key] = not _has_infinity(numbers)
                if self._known[key]:
                    yield f"{what}{name}", numbers


@torch.no_grad()
def damaged(parts: Parts, buffers: Buffers, *, moments: bool = True) -> list[str]:
    """The parameters, buffers and moments at rest that hold a number that is not finite.

    Cost: a pass over them, and one reading of the device; a second look where something is wrong.
    """
    suspects = [(name, one) for name, one in _state(parts, buffers, moments) if one.numel()]
    if _all_finite([one for _, one in suspects]):
        return []
    return [name for name, one in suspects if not _all_finite([one])]


@torch.no_grad()
def parameters_are_finite(parameters: Iterable[Tensor]) -> bool:
    """Whether no parameter holds a number that is not finite. Cost: a pass over them."""
    return _all_finite(
        [one for one in map(_numbers, parameters) if one is not None and one.numel()]
    )


def bad_gradients(parameters: Iterable[Tensor], names: dict[int, str]) -> list[str]:
    """The names of the first parameters whose gradient is not finite."""
    bad = (
        names.get(id(one), "a parameter")
        for one in parameters
        if one.grad is not None and not _all_finite([elements(local(one.grad))])
    )
    return list(islice(bad, NUM_NAMED))


def bad_samples(batch: Any) -> list[int]:
    """The places along the first dimension of a batch where an input is not finite."""
    found: set[int] = set()
    for tensor in _tensors(batch):
        if tensor.is_floating_point() and tensor.ndim and tensor.numel():
            rows = (
                ~torch.isfinite(tensor.detach()).flatten(1).all(1)
                if tensor.ndim > 1
                else (~torch.isfinite(tensor.detach()))
            )
            found |= set(rows.nonzero().flatten().tolist())
    return sorted(found)


def _state(parts: Parts, buffers: Buffers, moments: bool) -> Iterator[tuple[str, Tensor]]:
    names = parts.parameter_names()
    for parameter in parts.parameters():
        if (numbers := _numbers(parameter)) is not None:
            yield names.get(id(parameter), "a parameter"), numbers
    yield from buffers.named()
    for average in parts.average_modules():
        for name, parameter in average.named_parameters():
            if (numbers := _numbers(parameter)) is not None:
                yield f"average of {name}", numbers
    for optimizer in parts.optimizers if moments else ():
        for parameter, state in getattr(optimizer, "state", {}).items():
            owner = names.get(id(parameter), "state") if isinstance(parameter, Tensor) else "state"
            for key, value in state.items() if isinstance(state, dict) else ():
                if isinstance(value, Tensor) and (numbers := _numbers(value)) is not None:
                    yield f"{key} of {owner}", numbers


def _numbers(tensor: Tensor) -> Tensor | None:
    """The elements of a tensor that can be judged: floating or complex ones that exist."""
    if is_lazy(tensor) or tensor.device.type == "meta":
        return None
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.dtype.itemsize < 2:
        return None
    return elements(local(tensor.detach()))


def _all_finite(tensors: Sequence[Tensor]) -> bool:
    if not tensors:
        return True
    norm = total_norm(tensors)
    return bool(torch.isfinite(norm))


def _has_infinity(buffer: Tensor) -> bool:
    return bool(torch.isinf(buffer).any()) and not bool(torch.isnan(buffer).any())


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, dict):
        for item in batch.values():
            yield from _tensors(item)
    elif isinstance(batch, list | tuple):
        for item in batch:
            yield from _tensors(item)
