"""Adaptive gradient clipping: no unit's gradient is large against the unit's own weights.

A unit is what feeds one output: a row of a linear layer, a filter of a convolution; of a vector or
scalar, all of it. The floor `eps` under the weights' norm is what lets a unit that begins at zero
move at all; without it, zero-initialised projections and biases are frozen for good.

## Formula
For every unit i: g_i <- g_i * min(1, clip_factor * max(‖w_i‖, eps) / ‖g_i‖).

## Shape
Weights [out, ...]: one norm per first index. [n] and []: one norm. With a model given, transposed
convolutions [in, out / groups, ...] are clipped per output too, and not per input.

## Dtype
Any floating or complex one; norms in float32 at least, and in float64 where they overflow. A unit
whose gradient is not finite stays as it is, and so do the others.

## Cost
Two norms per parameter and one write; no synchronisation on a device.

## Source
Brock et al. 2021, section 4; 0.01 for batches of 4096 and up to 0.16 for small ones, the floor
0.001, and the last layer left out, are theirs.

## Helps against
`exploding-gradient`, `missing-grad-clip`, `missing-norm`, `bad-batch`
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._norms import HALF
from steadytrain.optim._parameters import Parameters, named_once
from steadytrain.optim._shards import placed_like

Units = tuple[Tensor, tuple[int, ...]]
"""A tensor, and the axes of it that one unit extends over."""


@torch.no_grad()
def agc_(
    parameters: Parameters,
    clip_factor: float = 0.01,
    eps: float = 1e-3,
    *,
    exclude: str | Iterable[str] = (),
) -> None:
    """No unit's gradient is longer than `clip_factor` times the unit's weights.

    It has no meaning before an optimizer that takes the sign of the gradient (Lion, signSGD).

    Args:
        parameters: a model, tensors, or (name, tensor) pairs; a shared one is clipped once.
        clip_factor: the largest allowed ratio of gradient to weights.
        eps: the weights count as at least this long.
        exclude: names of modules or parameters that are left alone; the last layer should be.

    Raises:
        UsageError: a number is out of its range, `exclude` names nothing that is there, or a
            gradient is sparse: its rows are not whole units.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
        >>> with torch.no_grad():
        ...     _ = model[0].weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        >>> model[0].weight.grad = torch.ones(2, 2)
        >>> agc_(model, clip_factor=0.1, exclude="1")
        >>> model[0].weight.grad.norm(dim=1)
        tensor([5.0000e-01, 1.0000e-04])
    """
    _check(clip_factor, eps)
    named = named_once(parameters)
    excluded = _excluded(named, [exclude] if isinstance(exclude, str) else list(exclude))
    layouts = _transposed(parameters) if isinstance(parameters, nn.Module) else {}
    for name, weight in named.items():
        grad = weight.grad
        if grad is None or name in excluded or not grad.numel():
            continue
        if grad.layout is not torch.strided:
            msg = f"agc_ needs whole units, found a sparse gradient of {name!r}: use"
            raise UsageError(f"{msg} sparse=False in its Embedding, or exclude={name!r}.")
        groups = layouts.get(id(weight))
        _clip_units_(_by_unit(weight, groups), _by_unit(grad, groups), clip_factor, eps)


def _clip_units_(weight: Units, grad: Units, clip_factor: float, eps: float) -> None:
    limit = clip_factor * _unit_norm(*weight).clamp(min=eps)
    values, axes = grad
    norm = _unit_norm(values, axes)
    is_long = torch.isfinite(norm) & (norm > limit)
    factor = torch.where(is_long, limit / norm, 1.0)
    # a product with 1 leaves every bit, that of a NaN and an infinity too
    values.copy_(placed_like(values * factor, values))


def _by_unit(values: Tensor, groups: int | None) -> Units:
    """A view of the tensor, and the axes that one unit extends over."""
    if groups is None:
        return values, tuple(range(min(1, values.dim() - 1), values.dim()))
    split = values.unflatten(0, (groups, -1))
    return split, (1, *range(3, split.dim()))


def _unit_norm(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The L2 norm of every unit, broadcastable to `values`."""
    norm = torch.linalg.vector_norm(values, 2, axes, keepdim=True, dtype=_wider(values))
    if norm.device.type == "cpu" and not bool(torch.isfinite(norm).all()):
        wide = torch.complex128 if values.is_complex() else torch.float64
        return torch.linalg.vector_norm(values.to(wide), 2, axes, keepdim=True)
    return norm


def _wider(values: Tensor) -> torch.dtype | None:
    """The dtype to accumulate in; on CUDA one that cannot overflow, so that nobody must look."""
    if values.device.type == "cuda":
        return torch.complex128 if values.is_complex() else torch.float64
    return torch.float32 if values.dtype in HALF else None


def _transposed(model: nn.Module) -> dict[int, int]:
    """The groups of every transposed convolution, by the identity of its weight."""
    layers = (layer for layer in model.modules() if isinstance(layer, _ConvTransposeNd))
    return {id(layer.weight): layer.groups for layer in layers}


def _excluded(named: Iterable[str], exclude: list[str]) -> set[str]:
    """The parameters that a name in `exclude` stands for: itself, or a module's."""
    names = list(named)
    found: set[str] = set()
    for one in exclude:
        hit = {name for name in names if name == one or name.startswith(f"{one}.")}
        if not hit:
            msg = f"exclude names {one!r}, and no parameter here is called so or is part of it"
            raise UsageError(f"{msg}: {', '.join(names[:8])}. Pass the model, or its names.")
        found |= hit
    return found


def _check(clip_factor: float, eps: float) -> None:
    for name, value in (("clip_factor", clip_factor), ("eps", eps)):
        if not 0.0 < float(value) < float("inf"):
            msg = f"{name} must be above zero and finite, got {value}: nothing would move, or"
            raise UsageError(f"{msg} nothing be clipped. Usual: clip_factor 0.01, eps 0.001.")


TECHNIQUE = technique(__name__, __doc__, exports=("agc_",))
