"""Clipping by norm with torch's numerics to the bit, in one pass that also measures.

torch computes a norm per gradient, then their norm, then multiplies every gradient by
`max_norm / (total + 1e-6)` clamped to 1. The norms are what the watch wants, so they are taken
from that pass. On a CPU the multiplication is left out where the factor is 1: x * 1.0 is x.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_

from steadytrain.probes.foreach import is_uniform
from steadytrain.probes.gradients import torch_norms

_LAYOUT = attrgetter("layout")


def shares_pass(grads: Sequence[Tensor], norm_type: float, foreach: bool | None) -> bool:
    """Whether torch's clip would take exactly the pass that `norms_and_total` takes."""
    plain = set(map(type, grads)) == {Tensor} and set(map(_LAYOUT, grads)) == {torch.strided}
    return plain and float(norm_type) == 2.0 and foreach is not False


def norms_and_total(grads: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The norm of each gradient, [len(grads)], and of all together, as torch computes them."""
    norms = torch_norms(grads)
    return norms, torch.linalg.vector_norm(norms, 2.0)


def shareable(grads: Sequence[Tensor], norms: Tensor) -> Tensor | None:
    """The clip's norms where they are the watch's too, else None.

    Gradients of several dtypes or devices are grouped by torch, so that their norms stand in
    another order; norms of half precision are too coarse to record.
    """
    half = norms.dtype in (torch.float16, torch.bfloat16)
    return norms if is_uniform(grads) and not half else None


def coefficient(max_norm: float, total: Tensor) -> Tensor:
    """What the clip multiplies gradients with: torch's formula, [] on the total's device."""
    return torch.clamp(float(max_norm) / (total.detach() + 1e-6), max=1.0)


def scale_by(
    params: Sequence[Tensor],
    max_norm: float,
    total: Tensor,
    factor: Tensor | None,
    error_if_nonfinite: bool,
    foreach: bool | None,
) -> None:
    """The gradients are multiplied as torch's clip does, or left alone where the factor is 1.

    Args:
        params: whose gradients.
        max_norm: threshold of the total norm.
        total: of the gradients.
        factor: their `coefficient`; None leaves everything to torch.
        error_if_nonfinite: whether a total that is not finite raises.
        foreach: torch's choice of implementation.

    Raises:
        RuntimeError: the total is not finite and `error_if_nonfinite` asked for it.
    """
    if error_if_nonfinite and not bool(torch.isfinite(total)):
        msg = "clip_grad_norm_: the total norm of the gradients is not finite, so they cannot be"
        raise RuntimeError(f"{msg} clipped. Pass error_if_nonfinite=False to scale by it anyway.")
    if factor is not None and factor.device.type == "cpu" and bool(factor >= 1.0):
        return
    clip_grads_with_norm_(params, max_norm, total, foreach)
