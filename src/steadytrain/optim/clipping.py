"""Clipping by norm, per tensor and by value, with torch's numbers and none of its silences.

Two things go wrong in silence elsewhere. One NaN element makes the total norm NaN, and scaling by
it turns *every* gradient into NaN; one infinity makes all others zero. And finite gradients whose
squares overflow (1e20 in float32, a norm above 65,504 in float16) get the factor zero: the step
is lost while moments decay and weights shrink. Here a norm is infinite only where an element is,
and then the gradients stay exactly as they are: look at the norm, or use `RobustClip`, which
refuses the step.

## Formula
By norm: g <- g * min(1, max_norm / (‖g‖_p + 1e-6)) over all gradients as one vector; per tensor
the same with each gradient's own L2 norm; by value: each element into [-clip_value, clip_value].

## Shape
Gradients of any shape, changed in place. Norms are [], per tensor [number of gradients].

## Dtype
Any floating or complex one, dense, sparse or DTensor, side by side. Half precision is accumulated
in float32; what overflows float32 is taken again in float64. Complex gradients are clipped by
their magnitude in a norm, by real and imaginary part in a value clip.

## Cost
One pass that reads (norm) and one that writes (scaling; on a CPU left out where the factor is 1).
No synchronisation on a device. A distributed gradient costs one reduction per mesh.

## Source
Pascanu et al. 2013, section 3.2 (norm); Mikolov 2012, section 3.3.2 (value). The 1e-6 is torch's.

## Helps against
`missing-grad-clip`, `exploding-gradient`, `recurrent-spectral-radius`, `bad-batch`
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._norms import (
    each_norm,
    elements,
    result_dtype,
    rounded,
    scale_,
    total_norm,
)
from steadytrain.optim._parameters import Parameters, gradients, once, with_gradients
from steadytrain.optim._shards import is_distributed, is_partial, local


@torch.no_grad()
def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The gradients together are no longer than `max_norm`; returns how long they were.

    Where an element is not finite nothing is changed, and the norm that is returned says so.
    Call it once per step, after the last microbatch and after unscaling.

    Args:
        parameters: a tensor, tensors, or (name, tensor) pairs; a shared one counts once.
        max_norm: above zero; infinity only measures.
        norm_type: the p of the norm, above zero; infinity for the largest magnitude.
        error_if_nonfinite: raise where an element is not finite.
        foreach: False goes tensor by tensor, as a reference.

    Raises:
        UsageError: there is no parameter, or a number cannot mean a norm.
        RuntimeError: an element is not finite and `error_if_nonfinite` asked for it.

    Shape: returns [], complete over the ranks of a distributed gradient.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> float(clip_grad_norm_([weight], max_norm=1.0))
        5.0
        >>> weight.grad
        tensor([0.6000, 0.8000])
    """
    _check_limit("max_norm", max_norm)
    _check_limit("norm_type", norm_type)
    grads = gradients(once(parameters))
    if not grads:
        return torch.tensor(0.0)
    total = total_norm(grads, float(norm_type))
    if error_if_nonfinite and not bool(torch.isfinite(total)):
        msg = f"the gradients' total norm is {float(total)}: an element of them is not finite, so"
        raise RuntimeError(f"{msg} nothing was clipped. Leave this step out, and look for it.")
    _clip(grads, total, max_norm, foreach)
    return rounded(total, result_dtype(grads))


@torch.no_grad()
def clip_grad_norm_per_tensor_(parameters: Parameters, max_norm: float) -> Tensor:
    """No gradient by itself is longer than `max_norm`; returns how long each was.

    Unlike the global clip it changes the direction of the step, and one wild tensor does not
    shrink the others. A gradient with an element that is not finite stays as it is.

    Args:
        parameters: a tensor, tensors, or (name, tensor) pairs; a shared one counts once.
        max_norm: above zero; infinity only measures.

    Raises:
        UsageError: there is no parameter, or `max_norm` cannot mean a norm.

    Shape: returns [number of gradients that are not None or empty], in the parameters' order.

    Example:
        >>> weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
        >>> for size, weight in enumerate(weights):
        ...     weight.grad = torch.tensor([3.0, 4.0]) * size
        >>> clip_grad_norm_per_tensor_(weights, max_norm=1.0)
        tensor([0., 5.])
    """
    _check_limit("max_norm", max_norm)
    grads = gradients(once(parameters))
    if not grads:
        return torch.empty(0)
    norms = each_norm(grads)
    for grad, norm in zip(grads, norms, strict=True):
        _clip([grad], norm, max_norm, None)
    dtype = result_dtype(grads)
    return torch.stack([norm.to(grads[0].device, dtype) for norm in norms])


@torch.no_grad()
def clip_grad_value_(
    parameters: Parameters, clip_value: float, foreach: bool | None = None
) -> None:
    """Every element of the gradients lies in [-clip_value, clip_value]; NaN stays NaN.

    It changes the direction of the step. A sparse gradient is coalesced first: its entries for
    one place count together.

    Args:
        parameters: a tensor, tensors, or (name, tensor) pairs.
        clip_value: above zero.
        foreach: False goes tensor by tensor, as a reference.

    Raises:
        UsageError: there is no parameter, `clip_value` cannot mean a bound, or a distributed
            gradient has not been summed over its ranks yet.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([0.5, -40.0])
        >>> clip_grad_value_([weight], clip_value=1.0)
        >>> weight.grad
        tensor([ 0.5000, -1.0000])
    """
    _check_limit("clip_value", clip_value)
    holders = with_gradients(once(parameters))
    plain = [one for one in holders if _is_plain(one)]
    if plain:
        torch.nn.utils.clip_grad_value_(plain, float(clip_value), foreach)
    for holder in holders:
        if not _is_plain(holder):
            _clamp_(_settled(holder), float(clip_value))


def _clip(grads: list[Tensor], total: Tensor, max_norm: float, foreach: bool | None) -> None:
    """The gradients are scaled by torch's factor, or by exactly 1 where `total` is not finite."""
    factor = torch.clamp(float(max_norm) / (total + 1e-6), max=1.0)
    factor = torch.where(torch.isfinite(total), factor, 1.0)
    if total.device.type == "cpu" and bool(factor >= 1.0):
        return
    scale_(grads, factor, foreach)


def _is_plain(holder: Tensor) -> bool:
    grad = holder.grad
    if grad is None or is_distributed(grad):
        return False
    return grad.layout is torch.strided and not grad.is_complex()


def _settled(holder: Tensor) -> Tensor:
    """The numbers of a gradient that is final: summed over its entries and over its ranks."""
    grad = holder.grad
    assert grad is not None
    if is_partial(grad):
        msg = "clip_grad_value_: a distributed gradient is still a sum over ranks (Partial), and a"
        raise UsageError(f"{msg} clipped part is no part of the clipped sum. Redistribute it.")
    if grad.layout is torch.sparse_coo and not grad.is_coalesced():
        holder.grad = grad = grad.coalesce()
    return elements(local(grad))


def _clamp_(values: Tensor, limit: float) -> None:
    parts = torch.view_as_real(values) if values.is_complex() else values
    parts.clamp_(-limit, limit)


def _check_limit(name: str, value: float) -> None:
    if not float(value) > 0:
        msg = f"{name} must be above zero, got {value}: zero or less would erase every gradient"
        raise UsageError(f"{msg}, NaN decides nothing. To clip nothing, pass {math.inf}.")


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("clip_grad_norm_", "clip_grad_norm_per_tensor_", "clip_grad_value_"),
)
