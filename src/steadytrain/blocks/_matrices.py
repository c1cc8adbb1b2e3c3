"""The matrices a model's modules multiply by, each with its fans, wherever they are stored.

A Linear has one; a convolution one per kernel position; attention stacks three and a recurrent
cell three or four into one parameter. torch takes the fans of a stacked parameter, of a grouped
and of a transposed convolution from its shape alone, and is wrong for all three.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

from steadytrain.blocks._weights import is_reparametrized, weights_of


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """A matrix inside a parameter, as a view: writing to it writes to the model."""

    parameter: str
    """The parameter's path."""
    view: Tensor
    """[out, in, *kernel], for one group of channels."""
    fan_in: float
    """Numbers that each output is a sum over."""
    fan_out: float
    """Outputs that each input is in."""
    is_recurrent: bool = False
    """Whether it multiplies the state of the step before."""


def matrices(path: str, module: nn.Module) -> list[Matrix]:
    """The matrices of one module (not of its children), in the order of its parameters.

    None where they are computed from other parameters, and none that is empty.
    """
    return [one for one in _matrices(path, module) if one.view.numel()]


def _matrices(path: str, module: nn.Module) -> list[Matrix]:
    if parametrize.is_parametrized(module):
        return []
    if isinstance(module, _ConvNd):
        return _convolution(path, module)
    if isinstance(module, nn.MultiheadAttention):
        return list(_attention(path, module))
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return list(_recurrent(path, module))
    return [
        Matrix(one.path, one.tensor.T if one.transposed else one.tensor, one.fan_in, one.fan_out)
        for one in weights_of(module, path)
        if one.module is module and not is_reparametrized(one)
    ]


def _plain(path: str, name: str, weight: Tensor) -> Matrix:
    out, inputs = weight.shape
    return Matrix(join(path, name), weight, inputs, out)


def _convolution(path: str, module: _ConvNd) -> list[Matrix]:
    weight, groups = module.weight, module.groups
    transposed = isinstance(module, _ConvTransposeNd)
    taps, stride = math.prod(module.kernel_size), math.prod(module.stride)
    inputs, out = module.in_channels // groups, module.out_channels // groups
    # a stride thins the outputs of a convolution, and the inputs of a transposed one
    fan_in, fan_out = inputs * taps, out * taps
    if transposed:
        fan_in /= stride
    else:
        fan_out /= stride
    parts = weight.chunk(groups) if groups > 1 else (weight,)
    views = (part.transpose(0, 1) if transposed else part for part in parts)
    return [Matrix(join(path, "weight"), view, fan_in, fan_out) for view in views]


def _attention(path: str, module: nn.MultiheadAttention) -> Iterator[Matrix]:
    if module.in_proj_weight is not None:
        for part in module.in_proj_weight.chunk(3):
            yield _plain(path, "in_proj_weight", part)
    else:
        for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
            yield _plain(path, name, cast("Tensor", getattr(module, name)))


def _recurrent(path: str, module: nn.Module) -> Iterator[Matrix]:
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.ndim != 2:
            continue
        if "weight_hr" in name:
            yield _plain(path, name, parameter)
            continue
        for gate in parameter.chunk(num_gates(module)):
            out, inputs = gate.shape
            yield Matrix(join(path, name), gate, inputs, out, "weight_hh" in name)


def num_gates(module: nn.Module) -> int:
    """Gates that a recurrent module stacks into one parameter."""
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return 4
    return 3 if isinstance(module, nn.GRU | nn.GRUCell) else 1


def join(path: str, name: str) -> str:
    """The path of a parameter inside the module at `path`."""
    return f"{path}.{name}" if path else name
