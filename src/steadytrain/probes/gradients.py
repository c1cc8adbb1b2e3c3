"""Norms of gradients: one multi-tensor pass, shared with the clip.

Stage: before clipping. Cost: the pass torch's own `clip_grad_norm_` makes, no synchronisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _foreach_utils

from steadytrain.probes.foreach import SMALL, gathered, is_uniform, l2_norms, sent

_HALF = (torch.float16, torch.bfloat16)


def torch_norms(grads: Sequence[Tensor]) -> Tensor:
    """The L2 norm of every gradient as torch's clip computes it, in torch's own order.

    Shape: [len(grads)]. Dtype: the gradients' own, as in `torch.nn.utils.get_total_norm`.
    """
    if is_uniform(grads):
        return torch.stack(l2_norms(grads))
    norms: list[Tensor] = []
    for (device, _), ([tensors], _) in _grouped(grads).items():
        if _foreach_utils._has_foreach_support(tensors, device):
            norms.extend(l2_norms(tensors))
        else:
            norms.extend(torch.linalg.vector_norm(grad, 2.0) for grad in tensors)
    return torch.stack([norm.to(grads[0].device) for norm in norms])


def _grouped(grads: Sequence[Tensor]) -> Any:
    """The gradients by device and dtype, in the order in which torch's clip takes them."""
    return _foreach_utils._group_tensors_by_device_and_dtype([list(grads)])


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
            return _widened(torch.stack(l2_norms(grads, dtype)))
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
    the gradient holds one, and both where the gradient has no elements here.
    """
    device = grads[0].device
    largest = torch.full((len(grads),), float("nan"), device=device)
    zeros = largest.clone()
    parts = [dense_values(grad) for grad in grads]
    usable = [place for place, part in enumerate(parts) if part is not None and part.numel()]
    tensors = [_as_real(part) for part in parts if part is not None and part.numel()]
    if not tensors:
        return largest, zeros
    alone = list(range(len(tensors)))
    if is_uniform(tensors):
        for places, elements, offsets in gathered(tensors):
            magnitudes = elements.abs()
            where = sent([usable[place] for place in places], device)
            counts = offsets.diff()
            largest[where] = _segments(magnitudes, "max", offsets).float()
            zeros[where] = _segments((magnitudes == 0).float(), "sum", offsets) / counts
        alone = [place for place in alone if tensors[place].numel() > SMALL]
    for place in alone:
        low, high = torch.aminmax(tensors[place])
        largest[usable[place]] = torch.maximum(-low, high)
        filled = torch.count_nonzero(tensors[place])
        zeros[usable[place]] = 1.0 - filled / tensors[place].numel()
    return largest, zeros


def _segments(values: Tensor, reduce: str, offsets: Tensor) -> Tensor:
    values = values if values.dtype is torch.float64 else values.float()
    return torch.segment_reduce(values, reduce, offsets=offsets, unsafe=True)


def _as_real(values: Tensor) -> Tensor:
    return torch.view_as_real(values) if values.is_complex() else values


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
        values = _as_real(values)
        norms.append(torch.linalg.vector_norm(values.double()).cpu())
    return torch.stack(norms)
