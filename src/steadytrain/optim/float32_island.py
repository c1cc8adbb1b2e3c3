"""A part of the forward pass that is computed in float32, whatever the autocast around it.

Softmax, norms, logits and losses sum many terms or take exponentials: rounded to 8 or 11 bits
before that, they lose what the step depends on. torch's autocast keeps its own such functions in
float32; this is for yours.

## Formula

f(x) -> f(float32(x)), with autocast off.

## Shape

Any; that of the function.

## Dtype

bf16 and fp16 tensor arguments are widened, other arguments are left alone, and the result stays
float32. Gradients come back in the arguments' own dtypes.

## Cost

One widened copy of each half-precision argument.

## Source

Micikevicius et al. 2018 (Mixed Precision Training), section 3.3.

## Helps against

`exp-overflow`, `fp16-overflow`, `fp16-underflow`
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

import torch

from steadytrain.core.technique import Sample, technique

R = TypeVar("R")

_HALVES: Final = (torch.bfloat16, torch.float16)


def in_float32(function: Callable[..., R]) -> Callable[..., R]:
    """`function` computes in float32, whatever the autocast around it.

    Args:
        function: a function or module of tensors; a module's own weights must be float32.

    Returns:
        The same function on widened arguments; the device is that of the first tensor.

    Shape: that of `function`.

    Example:
        >>> log_softmax = in_float32(torch.nn.functional.log_softmax)
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     log_softmax(torch.ones(1, 2, dtype=torch.bfloat16), dim=-1).dtype
        torch.float32
    """

    @functools.wraps(function)
    def widened(*args: Any, **kwargs: Any) -> R:
        tensors = [one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        options = {name: _wide(one) for name, one in kwargs.items()}
        with torch.autocast(device, enabled=False):
            return function(*map(_wide, args), **options)

    return widened


def _wide(value: Any) -> Any:
    half = isinstance(value, torch.Tensor) and value.dtype in _HALVES
    return value.float() if half else value


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("in_float32",),
    samples=(
        Sample(
            build=lambda: in_float32(torch.nn.functional.log_softmax),
            inputs=lambda: (100 * torch.randn(3, 5), -1),
            double_backward=True,
        ),
    ),
)
