"""The numbers a step is judged by: a few reductions and one reading of the device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.guard._parts import Parts, modules_of
from steadytrain.optim._norms import each_norm, elements, result_dtype, total_norm
from steadytrain.optim._shards import local

NUM_NAMED = 3
"""Culprits that are named; the others are counted."""

_PLAIN = (Tensor, nn.Parameter)
_operations: Any = torch  # the stubs do not list the fused operations


@torch.no_grad()
def gradient_norm(grads: Sequence[Tensor]) -> Tensor:
    """The L2 norm of all gradients, not finite only where an element is not."""
    return total_norm(grads) if grads else torch.zeros(())


def ceiling(grads: Sequence[Tensor]) -> float:
    """The largest norm whose square the widest of the gradients' dtypes holds."""
    return math.sqrt(torch.finfo(result_dtype(grads)).max)


@torch.no_grad()
def norms_of(tensors: Sequence[Tensor]) -> list[float]:
    """The L2 norm of each, not finite only where an element is not. Cost: one pass, one reading."""
    if not tensors:
        return []
    if _is_uniform(tensors):
        norms: list[float] = torch.stack(_operations._foreach_norm(list(tensors))).tolist()
    else:
        norms = [float(one) for one in read(each_norm(tensors)) if one is not None]
    for place, norm in enumerate(norms):
        if norm == math.inf:  # the squares may have overflowed where no element did
            norms[place] = float(total_norm([tensors[place]]))
    return norms


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
        self._known: WeakKeyDictionary[nn.Module, dict[str, bool]] = WeakKeyDictionary()
        for _ in self.named():
            pass

    @torch.no_grad()
    def norm(self) -> Tensor | None:
        """The L2 norm of the models' buffers together; None where there is none."""
        followed = [
            numbers
            for module in modules_of(self._models)
            for name, buffer in module._buffers.items()
            if buffer is not None and (numbers := self._followed(module, name, buffer)) is not None
        ]
        return total_norm(followed) if followed else None

    def named(self) -> Iterator[tuple[str, Tensor]]:
        """The numbers of every buffer that is followed, by its name."""
        yield from self._of("", self._models)
        yield from self._of("average of ", self._averages)

    def _of(self, what: str, models: Sequence[nn.Module]) -> Iterator[tuple[str, Tensor]]:
        for model in models:
            for prefix, module in model.named_modules():
                for name, buffer in module._buffers.items():
                    if buffer is None:
                        continue
                    if (numbers := self._followed(module, name, buffer)) is not None:
                        yield f"{what}{prefix}.{name}" if prefix else f"{what}{name}", numbers

    def _followed(self, module: nn.Module, name: str, buffer: Tensor) -> Tensor | None:
        """The numbers of a buffer that can be judged and that held no infinity at first."""
        own = self._known.setdefault(module, {})
        if own.get(name) is False:
            return None
        numbers = numbers_of(buffer)
        if numbers is None or not numbers.numel():
            return None
        if name not in own:
            own[name] = not _has_infinity(numbers)
        return numbers if own[name] else None


@torch.no_grad()
def damaged(parts: Parts, buffers: Buffers, *, moments: bool = True) -> list[str]:
    """The parameters, buffers and moments at rest that hold a number that is not finite.

    Cost: a pass over them, and one reading of the device; a second look where something is wrong.
    """
    suspects = [(name, one) for name, one in _state(parts, buffers, moments) if one.numel()]
    if all_finite([one for _, one in suspects]):
        return []
    return [name for name, one in suspects if not all_finite([one])]


@torch.no_grad()
def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no tensor holds a number that is not finite. Cost: a pass over them."""
    held = [one for one in tensors if one.numel()]
    return not held or bool(torch.isfinite(total_norm(held)))


def bad_gradients(parameters: Iterable[Tensor], names: dict[int, str]) -> list[str]:
    """The names of the first parameters whose gradient is not finite."""
    bad = (
        names.get(id(one), "a parameter")
        for one in parameters
        if one.grad is not None and not all_finite([elements(local(one.grad))])
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
        if (numbers := numbers_of(parameter)) is not None:
            yield names.get(id(parameter), "a parameter"), numbers
    yield from buffers.named()
    for average in parts.average_modules():
        for name, parameter in average.named_parameters():
            if (numbers := numbers_of(parameter)) is not None:
                yield f"average of {name}", numbers
    for optimizer in parts.optimizers if moments else ():
        for parameter, state in getattr(optimizer, "state", {}).items():
            owner = names.get(id(parameter), "state") if isinstance(parameter, Tensor) else "state"
            for key, value in state.items() if isinstance(state, dict) else ():
                if isinstance(value, Tensor) and (numbers := numbers_of(value)) is not None:
                    yield f"{key} of {owner}", numbers


def numbers_of(tensor: Tensor) -> Tensor | None:
    """The elements of a tensor that can be judged: floating or complex ones that exist."""
    if tensor.dtype is torch.float32 and type(tensor) in _PLAIN and tensor.device.type != "meta":
        return tensor.detach() if tensor.layout is torch.strided else elements(tensor.detach())
    if is_lazy(tensor) or tensor.device.type == "meta":
        return None
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.dtype.itemsize < 2:
        return None
    return elements(local(tensor.detach()))


def _is_uniform(tensors: Sequence[Tensor]) -> bool:
    """Whether one fused norm takes all of them: one device, plain, single precision."""
    first = tensors[0]
    return (
        set(map(type, tensors)) == {Tensor}
        and {one.dtype for one in tensors} == {torch.float32}
        and {one.layout for one in tensors} == {torch.strided}
        and all(one.device == first.device for one in tensors)
    )


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
