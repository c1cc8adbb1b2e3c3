"""What was seen while a copy of the program took its first step, as frozen data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The statistics of one tensor; of its finite elements where some are not."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    rms: float
    mean: float
    std: float
    max_abs: float
    num_nonfinite: int


@dataclass(slots=True, kw_only=True)
class ModuleSeen:
    """One call of a module, in order of execution."""

    path: str
    kind: str
    """Name of its class."""
    inputs: tuple[Facts, ...] = ()
    """Of every tensor among its arguments."""
    output: Facts | None = None
    """Of its first output of two or more dimensions, else of its first; None without any."""
    gradient: Facts | None = None
    """Of the loss with respect to that output; None where none arrived."""
    dead_unit_fraction: float = 0.0
    """Share of units that are zero on the whole batch."""
    saturated_fraction: float = 0.0
    """Share of elements at an end of the activation's range; 0 for other modules."""
    input_print: Tensor | None = None
    """The first input in short, see `print_of`; None where it was not asked for."""
    output_print: Tensor | None = None
    is_leaf: bool = True
    training: bool = True
    is_on_stream: bool = False
    """Whether it is a norm of the sum of a branch and of what a norm before it put out."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of a loss, a softmax, a sigmoid or an attention, with its arguments by name."""

    name: str
    """The function: `cross_entropy`, `mse_loss`, `softmax`, `scaled_dot_product_attention` ..."""
    path: str
    """The module that was running, "" outside of all."""
    arguments: Mapping[str, Any]
    """Tensors detached, not copied."""
    output: Tensor = field(default_factory=lambda: torch.empty(0))
    """Detached, not copied; empty where the call raised."""
    raised: bool = True
    gradient: Tensor | None = None
    """Of the program's loss with respect to `output`; None where none arrived."""
    input_gradient: Tensor | None = None
    """Of the program's loss with respect to the first argument, where it needs one."""
    input_needs_grad: bool = False
    is_one_sided: bool = False
    """Whether exactly one of the first two arguments needs a gradient: a prediction, a target."""

    def __getitem__(self, name: str) -> Any:
        """The argument of that name, None where it was not given."""
        return self.arguments.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One call of a module from outside of all modules: where data enters and outputs leave."""

    path: str
    arguments: tuple[Tensor, ...]
    """Every tensor among the arguments, detached."""
    outputs: tuple[Tensor, ...]
    """Every tensor among the outputs, detached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientSeen:
    """A parameter at the first step."""

    name: str
    requires_grad: bool
    gradient: Facts | None
    """Unscaled, before clipping where the program's own loop has the order right; None if none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStep:
    """A forward and backward pass of a copy on one batch."""

    loss: float
    modules: tuple[ModuleSeen, ...]
    calls: tuple[Call, ...]
    entries: tuple[Entry, ...]
    gradients: Mapping[str, GradientSeen] = field(default_factory=dict[str, GradientSeen])
    """By parameter name; empty where no backward pass was asked for."""

    def called(self, *names: str) -> list[Call]:
        """The calls of those functions, in order."""
        return [call for call in self.calls if call.name in names]


def facts_of(tensor: Tensor) -> Facts:
    """The statistics of a tensor, in three passes over it."""
    values, num_nonfinite = real_values(tensor), 0
    peak = peak_of(values)
    if not math.isfinite(peak):
        finite = torch.isfinite(values)
        num_nonfinite = int(values.numel() - finite.sum())
        values = values[finite]
        peak = peak_of(values)
    # squares of what is outside of these bounds leave float32
    unit = 1.0 if 1e-15 < peak < 1e15 else peak or 1.0
    scaled = values if unit == 1.0 else values / unit
    count = max(1, scaled.numel())
    rms = float(torch.linalg.vector_norm(scaled)) / math.sqrt(count)
    mean = float(scaled.sum()) / count
    return Facts(
        shape=tuple(tensor.shape),
        dtype=tensor.dtype,
        rms=rms * unit,
        mean=mean * unit,
        std=_deviation(scaled, rms, mean) * unit,
        max_abs=peak,
        num_nonfinite=num_nonfinite,
    )


def real_values(tensor: Tensor) -> Tensor:
    """The numbers of a tensor of any kind in float32 at least; sizes where they are complex."""
    if tensor.layout != torch.strided:
        tensor = tensor.coalesce().values() if tensor.is_sparse else tensor.to_dense()
    values = tensor.detach()
    values = values.abs() if values.is_complex() else values
    return values if values.dtype == torch.float64 else values.float()


def peak_of(values: Tensor) -> float:
    """The largest size of a number there; NaN or infinite if one is, 0 without any."""
    if not values.numel():
        return 0.0
    if values.layout != torch.strided:
        values = real_values(values)
    low, high = torch.aminmax(values)  # several times as fast as isfinite, or the norm
    return max(abs(float(low)), abs(float(high)))


def _deviation(values: Tensor, rms: float, mean: float) -> float:
    """From the two moments; from the differences where the moments would cancel."""
    if not values.numel():
        return 0.0
    if mean * mean < 0.9 * rms * rms:
        return math.sqrt(rms * rms - mean * mean)
    return float(torch.linalg.vector_norm(values - mean)) / math.sqrt(values.numel())


def print_of(tensor: Tensor) -> Tensor | None:
    """A number per sample and position that changes when what is there changes.

    Shape: [n, ...] -> [n], [n, k] -> [n, k], [n, k, ...] -> [n, k]; None for a single number.
    """
    if not tensor.dim() or tensor.layout != torch.strided:
        return None
    values = tensor.detach()
    values = values.abs() if values.is_complex() else values
    if values.dim() < 3:
        return values.double()
    return values.flatten(2).sum(dim=-1, dtype=torch.float64)


def tensors_in(value: Any, depth: int = 4) -> list[Tensor]:
    """Every tensor in nested tuples, lists, mappings and the fields of plain objects."""
    if isinstance(value, Tensor):
        return [value]
    if depth == 0 or value is None or isinstance(value, str | bytes | int | float):
        return []
    if isinstance(value, Mapping):
        inner: Any = list(value.values())
    elif isinstance(value, list | tuple | set):
        inner = value
    else:
        inner = vars(value).values() if hasattr(value, "__dict__") and depth > 2 else ()
        inner = () if isinstance(value, type | torch.nn.Module) or callable(value) else inner
    return [tensor for item in inner for tensor in tensors_in(item, depth - 1)]
