"""Whether a layer has ever been trained: what an initialisation leaves, a step destroys.

A norm begins with gains of one and shifts of zero, a bias at zero or within PyTorch's bound, a
default weight within its bound; running statistics count the batches they have seen. After a few
steps none of this holds any more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

Origin = Literal["fresh", "trained", "unknown"]

_NORMS: Final = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)

_ENOUGH: Final = 64
"""Elements of a uniform weight whose largest must come close to the bound."""


def origin_of(modules: Iterable[nn.Module]) -> Origin:
    """What the modules' own parameters show together; one trace of training is enough."""
    seen = [_origin(module) for module in modules]
    if "trained" in seen:
        return "trained"
    return "fresh" if "fresh" in seen else "unknown"


def _origin(module: nn.Module) -> Origin:
    if isinstance(module, _NORMS):
        return _of_norm(module)
    if isinstance(module, nn.Linear | _ConvNd):
        return _of_product(module)
    return "unknown"


def _of_norm(norm: nn.Module) -> Origin:
    counted = getattr(norm, "num_batches_tracked", None)
    if isinstance(counted, Tensor) and int(counted) > 0:
        return "trained"
    weight, bias = getattr(norm, "weight", None), getattr(norm, "bias", None)
    if not isinstance(weight, Tensor):
        return "unknown"
    is_first = bool((weight == weight.flatten()[0]).all())
    is_first = is_first and (not isinstance(bias, Tensor) or not bool(bias.any()))
    return "fresh" if is_first else "trained"


def _of_product(layer: nn.Linear | _ConvNd) -> Origin:
    weight = layer.weight.detach()
    fan_in = weight[0].numel()
    if isinstance(layer.bias, Tensor):
        bias = layer.bias.detach()
        if not bool(bias.any()):
            return "fresh"
        if len(bias) >= _ENOUGH // 4 and not _is_within(bias, fan_in):
            return "trained"
    if weight.numel() >= _ENOUGH and _is_within(weight, fan_in) and _fills(weight, fan_in):
        return "fresh"
    return "unknown" if layer.bias is None else _of_default_bias(layer.bias.detach(), fan_in)


def _of_default_bias(bias: Tensor, fan_in: int) -> Origin:
    return "unknown" if _is_within(bias, fan_in) else "trained"


def _is_within(values: Tensor, fan_in: int) -> bool:
    bound = 1 / math.sqrt(max(1, fan_in))
    return bool(values.abs().max() <= bound * (1 + 1e-5))


def _fills(values: Tensor, fan_in: int) -> bool:
    """Whether the elements spread over the whole range as a uniform distribution's do."""
    bound = 1 / math.sqrt(max(1, fan_in))
    size = values.float().abs()
    deviation = float(torch.sqrt(size.square().mean())) * math.sqrt(3) / bound
    return abs(deviation - 1) < 4 / math.sqrt(values.numel()) + 0.01
