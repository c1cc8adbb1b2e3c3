"""Norms of gradients: one multi-tensor pass, shared with the clip.

Stage: before clipping. Cost: the pass torch's own `clip_grad_norm_` makes, no synchronisation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils import _foreach_utils

_HALF = (torch.float16, torch.bfloat16)


def torch_norms(grads: Sequence[Tensor]) -> Tensor:
    """The L2 norm of every gradient as torch's clip computes it, in torch's own order.

    Shape: [len(grads)]. Dtype: the gradients' own, as in `torch.nn.utils.get_total_norm`.
    """
    if is_uniform(grads):
        return torch.stack(torch._foreach_norm(list(grads), 2.0))
    return torch.stack([norm.to(grads[0].device) for norm in _grouped(grads)])


def _grouped(grads: Sequence[Tensor]) -> list[Tensor]:
    """Norms in the order of torch's grouping by device and dtype."""
    norms: list[Tensor] = []
    grouped = _foreach_utils._group_tensors_by_device_and_dtype([list(grads)])
    for (device, _), ([tensors], _) in grouped.items():
        if _foreach_utils._has_foreach_support(tensors, device):
            norms.extend(torch._foreach_norm(tensors, 2.0))
        else:
            norms.extend(torch.linalg.vector_norm(g, 2.0) for g in tensors)
    return norms


def is_uniform(grads: Sequence[Tensor]) -> bool:
    """Whether all gradients share one device and dtype, so that one pass takes them all."""
    first = grads[0]
    return all(g.dtype is first.dtype and g.device == first.device for g in grads)


def measured_norms(grads: Sequence[Tensor]) -> Tensor:
    """The L2 norm of every gradient, accumulated in float32 at least: [len(grads)].

    Sparse gradients are coalesced first; complex ones count both parts. A gradient whose norm
    is not defined here (a shard of a distributed tensor, an exotic dtype) gives NaN.
    """
    if not grads:
        return torch.empty(0)
    try:
        if is_uniform(grads):
            dtype = torch.float32 if grads[0].dtype in _HALF else None
            return _widened(torch.stack(torch._foreach_norm(list(grads), 2.0, dtype=dtype)))
    except (RuntimeError, TypeError, NotImplementedError):
        pass  # a sparse or exotic tensor among them: one by one below
    device = grads[0].device
    return torch.stack([_widened(_norm_of(grad)).to(device) for grad in grads])


def _widened(norms: Tensor) -> Tensor:
    return norms if norms.dtype is torch.float64 else norms.float()


def _norm_of(grad: Tensor) -> Tensor:
    values = dense_values(grad)
    if values is None:
        return torch.full((), float("nan"), device=grad.device)
    return torch.linalg.vector_norm(values, dtype=None if values.is_complex() else _wide(values))


def _wide(values: Tensor) -> torch.dtype:
    return torch.float64 if values.dtype is torch.float64 else torch.float32


def dense_values(grad: Tensor) -> Tensor | None:
    """The gradient's elements as a plain tensor, or None where that has no local meaning."""
    if hasattr(grad, "to_local") or grad.is_meta or grad.is_quantized:
        return None
    if grad.layout is not torch.strided:
        grad = grad.coalesce().values() if grad.layout is torch.sparse_coo else grad.to_dense()
    return grad if grad.is_floating_point() or grad.is_complex() else None


def element_statistics(grads: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The largest magnitude and the share of zeros of every gradient: [len(grads)] each.

    Cost: two passes over the gradients, so on sampled steps only. The magnitude is NaN where
    the gradient holds one.
    """
    largest: list[Tensor] = []
    zeros: list[Tensor] = []
    device = grads[0].device
    for grad in grads:
        values = dense_values(grad)
        if values is None or values.numel() == 0:
            largest.append(torch.full((), float("nan"), device=device))
            zeros.append(largest[-1])
            continue
        values = torch.view_as_real(values) if values.is_complex() else values
        low, high = torch.aminmax(values)
        largest.append(_widened(torch.maximum(-low, high)).to(device))
        filled = torch.count_nonzero(values) / grad.numel()
        zeros.append((1.0 - filled / (2.0 if grad.is_complex() else 1.0)).float().to(device))
    return torch.stack(largest), torch.stack(zeros)


def count_nonfinite(tensors: Sequence[Tensor]) -> Tensor:
    """NaN and infinite elements of every tensor: [len(tensors)], float64 so that counts are exact."""
    counts: list[Tensor] = []
    for tensor in tensors:
        values = dense_values(tensor)
        bad = values.numel() - torch.isfinite(values).sum() if values is not None else float("nan")
        counts.append(torch.as_tensor(bad, dtype=torch.float64).cpu())
    return torch.stack(counts) if counts else torch.empty(0, dtype=torch.float64)


def wide_norms(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norms accumulated in float64, for gradients whose float32 norm overflows."""
    norms: list[Tensor] = []
    for tensor in tensors:
        values = dense_values(tensor)
        if values is None:
            norms.append(torch.full((), float("nan"), dtype=torch.float64))
            continue
        values = torch.view_as_real(values) if values.is_complex() else values
        norms.append(torch.linalg.vector_norm(values.double()).cpu())
    return torch.stack(norms)
