"""Whether a model was trained before: then its weights are worth more than any initialisation."""

from __future__ import annotations

import math
from typing import TypeGuard

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from steadytrain.blocks._weights import is_norm


def sign_of_training(model: nn.Module, optimizer: Optimizer | None = None) -> str | None:
    """The first thing that only training leaves behind, as a phrase; None where there is none.

    Looked for: state in the optimizer, a checkpoint's name in `model.config` (as Hugging Face's
    `from_pretrained` leaves it), batches that batch norms have seen, scales of norms that
    differ from channel to channel, and biases that vary beyond the range torch draws them from.
    A network without norms and biases shows nothing.
    """
    if optimizer is not None and any(optimizer.state.values()):
        return "the optimizer has taken steps"
    source = getattr(getattr(model, "config", None), "_name_or_path", "")
    if isinstance(source, str) and source:
        return f"it was loaded from {source!r}"
    for path, module in model.named_modules():
        sign = _batches_seen(module) or _uneven_scale(module) or _grown_bias(module)
        if sign:
            return f"{path or 'the model'} {sign}"
    return None


def _batches_seen(module: nn.Module) -> str | None:
    counter = module.num_batches_tracked if isinstance(module, _NormBase) else None
    if counter is None or counter.is_meta or not int(counter):
        return None
    return f"has seen {int(counter):,} batches"


def _uneven_scale(module: nn.Module) -> str | None:
    """Every library begins a norm's scale at one number for all channels."""
    weight = getattr(module, "weight", None)
    if not is_norm(module) or not _readable(weight) or weight.numel() < 2:
        return None
    if torch.equal(weight.amin(), weight.amax()):
        return None
    return "scales its channels differently, as only training does"


def _grown_bias(module: nn.Module) -> str | None:
    """A bias that varies and exceeds torch's U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    An initialisation of one's own sets biases to one number.
    """
    if not isinstance(module, nn.Linear | _ConvNd) or not _readable(module.weight):
        return None
    given = module.bias
    if not _readable(given):
        return None
    fan_in = module.weight[0].numel() if isinstance(module, nn.Linear) else _fan_in(module)
    bias = given.detach().double()
    limit = 1.001 / math.sqrt(max(1, fan_in))
    if bias.numel() < 2 or not bool(bias.abs().amax() > limit) or bool(bias.std() == 0):
        return None
    return "has biases that no initialisation gives"


def _fan_in(module: _ConvNd) -> int:
    # as torch.nn.init counts it, which for transposed convolutions is the second dimension, too
    return module.weight.shape[1] * math.prod(module.kernel_size)


def _readable(tensor: object) -> TypeGuard[torch.Tensor]:
    """Whether it holds numbers that can be compared."""
    if not isinstance(tensor, torch.Tensor) or tensor.is_meta or tensor.is_complex():
        return False
    lazy = isinstance(tensor, nn.parameter.UninitializedParameter)
    return not lazy and tensor.is_floating_point() and tensor.numel() > 0
