"""Norms of parameters and of what a step changed them by.

The update is measured on a fixed sample of each parameter's elements: all of them in a small
model, an even comb of them in a large one, so that memory stays below 2% of the model. The
update norm of a sampled parameter is scaled up to its size; its relative standard error is
about 1/sqrt(2n) for n sampled elements (0.8% at 8,000). Parameter norms are exact on sampled
steps; in between, the sample tells by how much the last exact one has changed.

Cost: two gathers of the sample and a few passes over it; on sampled steps one pass over the
parameters that are not sampled whole. No synchronisation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from steadytrain.probes.foreach import l2_norms

MIN_BUDGET: Final = 131_072
"""Elements sampled at least, so that small models are measured whole (1 MB)."""

MAX_SHARE: Final = 0.0075
"""Share of a large model's elements in the sample; two float32 buffers of it are 1.5%."""


MIN_PER_TENSOR: Final = 256
"""Elements of a tensor that are sampled whatever the budget: 2 kB each."""


LONG: Final = 2048
"""Sampled elements per tensor from which a call each is cheaper than summing by segments."""

_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The parameters of one device, as strided views of the elements that are sampled."""

    sites: tuple[int, ...]
    params: tuple[Tensor, ...]
    pointers: list[int]
    views: tuple[Tensor, ...]
    offsets: Tensor
    """Where each view begins and ends in `both`: [2 parameters + 1]."""
    scale: Tensor
    """Elements per sampled element, by parameter."""
    bounds: tuple[int, ...]
    """Where each view begins and ends in `before`, on the host: [parameters + 1]."""
    partial: tuple[tuple[torch.dtype, tuple[int, ...], Tensor], ...]
    """Positions of the parameters that are not sampled whole, by dtype: here and on the device."""
    before: Tensor
    after: Tensor
    both: Tensor
    """`before` and `after` side by side in one memory."""
    parts: tuple[Tensor, ...]
    """The memory of every view in `both`; none where the views are short."""
    anchor: Anchor


@dataclass(slots=True)
class Anchor:
    """The last exact norms, and what the sample made of their squares then: [parameters] each."""

    norms: Tensor | None = None
    squares: Tensor | None = None


def per_tensor_cap(sizes: Sequence[int]) -> int:
    """Elements sampled per tensor so that the whole sample keeps to its budget."""
    budget = max(MIN_BUDGET, int(MAX_SHARE * sum(sizes)))
    if sum(sizes) <= budget:
        return max(sizes, default=0)
    left, small = budget, sorted(sizes)
    for position, size in enumerate(small):
        share = left // (len(small) - position)
        if size > share:
            return max(share, MIN_PER_TENSOR)
        left -= size
    return small[-1]


def comb(param: Tensor, cap: int) -> Tensor:
    """An evenly strided view of at most `cap` elements of `param`, in memory order.

    The stride shares no factor with the last dimension, so that every column of a matrix is
    met, not the same few in each row.
    """
    plain = torch.view_as_real(param.detach()) if param.is_complex() else param.detach()
    if not _is_dense(plain):  # an expanded or sliced tensor: its first row stands for it
        return plain[(0,) * (plain.ndim - 1)][:cap]
    size = plain.numel()
    if size == 0:
        return plain.reshape(-1)
    stride = -(-size // cap)
    width = plain.shape[-1] if plain.ndim else 1
    while stride > 1 and math.gcd(stride, width) != 1:
        stride += 1
    return plain.as_strided((-(-size // stride),), (stride,))


def _is_dense(tensor: Tensor) -> bool:
    """Whether the elements fill their memory without gaps, in whatever order."""
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.numel() == 0 or reach + 1 == tensor.numel()


def num_real(param: Tensor) -> int:
    """The real numbers in a parameter: two for each complex element."""
    return param.numel() * (2 if param.is_complex() else 1)


def make_sample(params: Sequence[Tensor], sites: Sequence[int], cap: int) -> Sample:
    """The sample of parameters that live on one device."""
    views = [comb(param, cap) for param in params]
    lengths = [view.numel() for view in views]
    sizes = [num_real(param) for param in params]
    device = params[0].device
    dtype = torch.float64 if any(v.dtype is torch.float64 for v in views) else torch.float32
    bounds = (0, *itertools.accumulate(lengths))
    scale = [size / max(length, 1) for size, length in zip(sizes, lengths, strict=True)]
    both = torch.empty(2 * sum(lengths), dtype=dtype, device=device)
    before, after = both.split(sum(lengths)) if len(both) else (both, both)
    return Sample(
        sites=tuple(sites),
        params=tuple(params),
        pointers=[param.data_ptr() for param in params],
        views=tuple(views),
        offsets=torch.tensor((*bounds, *(bounds[-1] + end for end in bounds[1:])), device=device),
        bounds=bounds,
        scale=torch.tensor(scale, dtype=dtype, device=device),
        partial=_by_dtype(params, [place for place, factor in enumerate(scale) if factor > 1]),
        before=before,
        after=after,
        both=both,
        parts=both.split(2 * lengths) if sum(lengths) >= LONG * len(lengths) else (),
        anchor=Anchor(),
    )


def _by_dtype(
    params: Sequence[Tensor], places: Sequence[int]
) -> tuple[tuple[torch.dtype, tuple[int, ...], Tensor], ...]:
    dtypes = dict.fromkeys(params[place].dtype for place in places)
    groups = [(d, tuple(i for i in places if params[i].dtype is d)) for d in dtypes]
    return tuple((d, group, torch.tensor(group, device=params[0].device)) for d, group in groups)


def is_current(sample: Sample) -> bool:
    """Whether the parameters still live where the views look."""
    return list(map(Tensor.data_ptr, sample.params)) == sample.pointers


def remember(sample: Sample) -> None:
    """The sampled elements as they are now are the ones the update is measured from."""
    torch.cat(sample.views, out=sample.before)


def measure(sample: Sample, *, exactly: bool = True) -> tuple[Tensor, Tensor]:
    """The parameter norms and update norms since `remember`: [parameters] each.

    Args:
        sample: of the parameters.
        exactly: read the parameters that are not sampled whole. Otherwise their norm is the last
            exact one, changed as their sample has changed since.
    """
    torch.cat(sample.views, out=sample.after)
    torch.sub(sample.after, sample.before, out=sample.before)
    moved, squares = _sums(sample) * sample.scale
    if sample.partial:
        return _anchored(squares, sample, exactly=exactly), moved.sqrt_()
    return squares.sqrt_(), moved.sqrt_()


def lost_fraction(sample: Sample) -> Tensor:
    """Share of sampled elements with a gradient that the step left unchanged: [parameters].

    NaN for parameters of full precision, and where no gradient lies in memory as its parameter
    does. Call before `measure`.
    """
    shares: list[Tensor] = []
    edges = itertools.pairwise(sample.bounds)
    for param, view, (start, stop) in zip(sample.params, sample.views, edges, strict=True):
        grad = param.grad
        if grad is None or param.dtype not in _HALF or not _lie_alike(param, grad):
            shares.append(torch.full((), float("nan"), device=param.device))
            continue
        moved = view.float() != sample.before[start:stop]
        wanted = grad.detach().as_strided(view.shape, view.stride()) != 0
        shares.append((wanted & ~moved).sum() / wanted.sum())
    return torch.stack(shares).float()


def _lie_alike(param: Tensor, grad: Tensor) -> bool:
    """Whether the gradient's elements have the same order in memory as the parameter's."""
    return (
        grad.layout is torch.strided
        and grad.numel() > 0
        and grad.stride() == param.stride()
        and _is_dense(grad)
    )


def _sums(sample: Sample) -> Tensor:
    """The sums of squares of both halves by parameter: [2, parameters]."""
    both = sample.both
    if not both.numel():
        return torch.zeros(2, len(sample.views), dtype=both.dtype, device=both.device)
    if sample.parts:
        return torch.stack(l2_norms(sample.parts)).square_().view(2, -1)
    offsets, squares = sample.offsets, both.square_()
    sums = torch.segment_reduce(squares, "sum", offsets=offsets, initial=0.0, unsafe=True)
    return sums.view(2, -1)


def _anchored(squares: Tensor, sample: Sample, *, exactly: bool) -> Tensor:
    """The norms, those of parameters that are not sampled whole by the anchor: [parameters]."""
    anchor = sample.anchor
    if exactly or anchor.norms is None or anchor.squares is None:
        anchor.norms, anchor.squares = _exact_norms(squares, sample), squares
        return anchor.norms
    changed = squares - anchor.squares
    return torch.where(changed == 0, anchor.norms, _grown(anchor.norms, changed))


def _grown(norms: Tensor, changed: Tensor) -> Tensor:
    """Norms whose squares have changed by that much."""
    return (norms.square() + changed).clamp_(min=0.0).sqrt_()


def _exact_norms(squares: Tensor, sample: Sample) -> Tensor:
    norms = squares.sqrt()
    for dtype, places, index in sample.partial:
        wide = torch.float32 if dtype in _HALF else None
        tensors = [sample.params[place].detach() for place in places]
        norms[index] = torch.stack(l2_norms(tensors, wide)).to(norms.dtype)
    return norms
