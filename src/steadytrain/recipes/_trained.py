"""Whether a model was trained before: then its weights are worth more than any initialisation.

Formula, of a weight matrix without its mean: independent random elements, whatever they are drawn
from and however their spread differs from row to row, have a largest singular value of at most
about max row norm + max column norm; training adds directions above it.

Source: Bandeira & van Handel 2016 (the bound); Martin & Mahoney 2021 (trained weights leave it).
"""

from __future__ import annotations

from typing import Final, TypeGuard

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from steadytrain.blocks._weights import is_norm

MAX_RATIO: Final = 1.1
"""Over the bound. No initialisation here nor one of torch comes above 1.0 in matrices of 8 to 512
rows; a perceptron whose loss has fallen by a fifth is above 1.1."""

MIN_SIZE: Final = 8
"""Smaller matrices stray from the edge by themselves."""

_ITERATIONS: Final = 12
_ROUNDING: Final = 1e-4


def has_stepped(optimizer: Optimizer | None) -> bool:
    """Whether the optimizer remembers gradients."""
    return optimizer is not None and any(optimizer.state.values())


def sign_of_training(model: nn.Module) -> str | None:
    """The first thing in the model that only training leaves behind; None where there is none.

    Looked for: a checkpoint's name in `model.config` (Hugging Face's `from_pretrained` leaves
    it), scales of norms that differ from channel to channel, statistics without a scale that
    have seen batches, and weights with a direction that random ones do not have.

    Cost: 24 products of each weight matrix with a vector; torch's random numbers are not used.
    """
    source = getattr(getattr(model, "config", None), "_name_or_path", "")
    if isinstance(source, str) and source:
        return f"it was loaded from {source!r}"
    for path, module in model.named_modules():
        sign = _uneven_scale(module) or _batches_seen(module) or _learned_direction(module)
        if sign:
            return f"{path or type(module).__name__} {sign}"
    return None


def _uneven_scale(module: nn.Module) -> str | None:
    """Every library begins a norm's scale at one number for all channels."""
    weight = getattr(module, "weight", None)
    if not _readable(weight) or weight.numel() < 2 or not is_norm(module):
        return None
    if torch.equal(weight.amin(), weight.amax()):
        return None
    return "scales its channels differently, as only training does"


def _batches_seen(module: nn.Module) -> str | None:
    """Tells where there is no scale to look at: a forward pass alone moves the statistics."""
    if not isinstance(module, _NormBase) or module.affine or module.num_batches_tracked is None:
        return None
    seen = int(module.num_batches_tracked)
    return f"has seen {seen:,} batches" if seen else None


@torch.no_grad()
def _learned_direction(module: nn.Module) -> str | None:
    # computing a parametrised weight may change state: spectral norm iterates
    if not isinstance(module, nn.Linear | _ConvNd) or parametrize.is_parametrized(module):
        return None
    weight = module.weight
    if not _readable(weight) or min(len(weight), weight[0].numel()) < MIN_SIZE:
        return None
    ratio = strength(weight.detach().flatten(1))
    if not ratio > MAX_RATIO:
        return None
    return f"has a direction {ratio:.1f} times as strong as random weights have"


def strength(matrix: torch.Tensor) -> float:
    """The largest singular value over the bound for random elements; 0 for equal elements."""
    given = matrix.float()
    centred = given - given.mean()
    edge = centred.norm(dim=0).amax() + centred.norm(dim=1).amax()
    # what rounding leaves of equal elements is no direction
    if not bool(centred.abs().amax() > _ROUNDING * given.abs().amax()):
        return 0.0
    return float(_largest_singular_value(centred) / edge)


def _largest_singular_value(matrix: torch.Tensor) -> torch.Tensor:
    """A lower bound, by power iteration from a fixed vector."""
    own = torch.Generator().manual_seed(0)
    vector = torch.randn(matrix.shape[1], generator=own).to(matrix.device)
    for _ in range(_ITERATIONS):
        vector = matrix.mT @ (matrix @ vector)
        vector = vector / vector.norm().clamp_min(torch.finfo(vector.dtype).tiny)
    return (matrix @ vector).norm()


def _readable(tensor: object) -> TypeGuard[torch.Tensor]:
    """Whether it holds real numbers."""
    if not isinstance(tensor, torch.Tensor) or tensor.is_meta or tensor.is_complex():
        return False
    lazy = isinstance(tensor, nn.parameter.UninitializedParameter)
    return not lazy and tensor.is_floating_point() and tensor.numel() > 0
