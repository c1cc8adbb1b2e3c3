"""What was seen while a copy of the program took its first step, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

FP16_SMALLEST: Final = 2.0**-24
"""The smallest number above zero in fp16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The statistics of one tensor; of its finite elements where some are not."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    rms: float
    mean: float
    std: float
    max_abs: float
    zero_fraction: float
    num_nonfinite: int
    below_fp16_fraction: float
    """Share of the elements above zero that fp16 would turn to zero."""


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
    value: Facts
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
    """The statistics of a tensor."""
    if tensor.layout != torch.strided:
        tensor = tensor.coalesce().values() if tensor.is_sparse else tensor.to_dense()
    values = tensor.detach()
    values = values.abs() if values.is_complex() else values
    values = values.float() if values.dtype != torch.float64 else values
    finite = torch.isfinite(values)
    num_nonfinite = int(values.numel() - finite.sum())
    if num_nonfinite:
        values = values[finite]
    shape, dtype = tuple(tensor.shape), tensor.dtype
    if not values.numel():
        return Facts(
            shape=shape, dtype=dtype, rms=0.0, mean=0.0, std=0.0, max_abs=0.0, zero_fraction=0.0,
            num_nonfinite=num_nonfinite, below_fp16_fraction=0.0,
        )  # fmt: skip
    sizes = values.abs()
    peak = float(sizes.max())
    unit = peak or 1.0
    zeros = int((sizes == 0).sum())
    small = int((sizes < FP16_SMALLEST / 2).sum()) - zeros
    mean = float((values / unit).mean()) * unit
    return Facts(
        shape=shape,
        dtype=dtype,
        rms=float((values / unit).square().mean().sqrt()) * unit,
        mean=mean,
        std=float(((values - mean) / unit).square().mean().sqrt()) * unit,
        max_abs=peak,
        zero_fraction=zeros / values.numel(),
        num_nonfinite=num_nonfinite,
        below_fp16_fraction=small / max(1, values.numel() - zeros),
    )


def print_of(tensor: Tensor) -> Tensor | None:
    """A number per sample and position that changes when what is there changes.

    Shape: [n, ...] -> [n], [n, k] -> [n, k], [n, k, ...] -> [n, k]; None for a single number.
    """
    if not tensor.dim() or tensor.layout != torch.strided:
        return None
    values = tensor.detach()
    values = (values.abs() if values.is_complex() else values).double()
    return values if values.dim() < 3 else values.flatten(2).sum(dim=-1)


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
