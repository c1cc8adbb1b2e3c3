"""What some kinds of layers tell beside their outputs: the data they read, batch statistics, dropout.

Stage: forward, on sampled steps, inside the hook that measures the output. Cost: a few passes over
at most `MAX_ELEMENTS` elements, and only at layers that read data from outside the network. No
synchronisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.dropout import _DropoutNd  # pyright: ignore[reportPrivateUsage]

DATA: Final = ("data_mean", "data_rms", "data_max", "data_whole_fraction", "data_column_ratio")
NORM: Final = ("norm_samples", "running_gap")
DROPOUT: Final = ("dropped_fraction",)
KINDS: Final = (DATA, NORM, DROPOUT)
"""Statistics that are measured together."""

READERS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNNBase)

_TINY: Final = 1e-12


def told(module: nn.Module, source: Tensor | None, part: Tensor | None) -> Iterator[Any]:
    """Pairs of a kind of `KINDS` and its row, for what this module has to tell.

    Args:
        module: the module that was called.
        source: its first floating input.
        part: the part of it that is read, detached; None where there is none.
    """
    if isinstance(module, _DropoutNd) and module.training:
        yield DROPOUT, torch.tensor([float(module.p)])
    if source is None or part is None:
        return
    if isinstance(module, _BatchNorm) and module.training and source.ndim >= 2:
        yield NORM, norm_row(module, source, part)
    if isinstance(module, READERS) and not source.requires_grad:
        yield DATA, data_row(part)


def data_row(part: Tensor) -> Tensor:
    """The `DATA` of numbers that come from outside the network: [5] in float32.

    Columns are the last dimension of a table; pictures have none.
    """
    wide = part.float()
    sizes = wide.abs()
    # comparisons written into floats are vectorised on a CPU, those into booleans are not
    whole = torch.eq(sizes, sizes.round(), out=torch.empty_like(sizes))
    whole *= torch.gt(sizes, 1, out=torch.empty_like(sizes))
    rms = torch.linalg.vector_norm(wide) / wide.numel() ** 0.5
    return torch.stack((wide.mean(), rms, sizes.amax(), whole.mean(), _columns(wide)))


def _columns(wide: Tensor) -> Tensor:
    """The largest spread of a column over the smallest; 1 where there are no columns."""
    if wide.ndim != 2 or not 2 <= wide.shape[1] <= 256 or wide.shape[0] < 8:
        return torch.ones((), device=wide.device)
    sizes = wide.square().mean(dim=0).sqrt()
    smallest = torch.where(sizes > _TINY, sizes, float("inf")).amin()
    return torch.where(torch.isfinite(smallest), sizes.amax() / smallest, 1.0)


def norm_row(module: _BatchNorm, source: Tensor, part: Tensor) -> Tensor:
    """The `NORM` of a batch normalisation in training mode: [2] in float32.

    The gap is how far the running statistics are from those of this batch: the distance of the
    means in the batch's deviations, plus that of the deviations on a logarithmic scale; the median
    over channels.
    """
    samples = float(source.numel() // max(1, source.shape[1]))
    gap = torch.full((), float("nan"), device=part.device)
    mean, var = module.running_mean, module.running_var
    if mean is not None and var is not None and part.ndim == source.ndim:
        dims = [dim for dim in range(part.ndim) if dim != 1]
        wide = part.float()
        centre = wide.mean(dim=dims, keepdim=True)
        here, count = centre.flatten(), wide.numel() / wide.shape[1]
        # two vectorised passes: on a CPU `var` takes several times as long
        spread = torch.linalg.vector_norm(wide - centre, dim=dims) / count**0.5 + module.eps
        running = var.float().clamp(min=0).sqrt() + module.eps
        distance = (mean.float() - here).abs() / torch.maximum(spread, running)
        gap = (distance + (running / spread).log().abs()).median()
    return torch.stack([torch.full_like(gap, samples), gap])
