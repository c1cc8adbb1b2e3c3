"""An island runs a softmax, a norm or a loss in float32 in the middle of half precision.

## Formula
    output = inner(float32(inputs)), cast back to the dtype of the first floating input

## Shape
    That of what it wraps.

## Dtype
    Within: float32, or float64 where that is given, with autocast off. Out of it: the input's
    dtype, or with `output="float32"` what the inside computes. The wrapped parameters stay
    float32 when the model around them is cast to a half-precision dtype. FSDP's mixed precision
    casts them all the same: shard an island by itself, without a policy.

## Cost
    One copy of every half-precision input and output, and twice the memory of what is stored
    for the backward pass in between. Nothing where the inputs are float32 already.

## Source
    Micikevicius et al. 2018, "Mixed Precision Training", section 3.3: reductions in float32.
    torch.autocast casts by a list of operations of its own and leaves hand-written ones in half.

## Helps against
    `fp16-overflow`, `fp16-underflow`, `exp-overflow` and `low-precision-update-lost`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from steadytrain.blocks._float32 import at_least_float32, outside_autocast
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique


class Float32Island(nn.Module):
    """Computes what it wraps in at least float32, wherever it stands.

    Args:
        inner: a module, or a function of tensors: a norm, a softmax, a loss.
        output: the dtype to give back: that of the first floating input, or "float32" for what
            must not be rounded again, as a loss.

    Raises:
        UsageError: `inner` cannot be called, or `output` is neither of the two.

    Shape:
        That of `inner`. Tensors within tuples, lists and dicts are cast as well; integers and
        booleans pass as they are.

    Example:
        >>> def rms(x):
        ...     return x.square().mean().sqrt()
        >>> big = torch.full((4,), 300.0, dtype=torch.float16)
        >>> rms(big).item(), Float32Island(rms)(big).item()
        (inf, 300.0)
    """

    def __init__(
        self, inner: Callable[..., Any], *, output: Literal["input", "float32"] = "input"
    ) -> None:
        super().__init__()
        if not callable(inner):
            msg = f"an island wraps a module or a function, got {type(inner).__name__}"
            raise UsageError(f"{msg}: give what computes, not what it computed.")
        if output not in ("input", "float32"):
            msg = f"output must be 'input' or 'float32', got {output!r}"
            raise UsageError(f"{msg}: 'input' casts back, 'float32' does not.")
        self.inner = inner
        self.output = output
        # raises what is in half precision already
        self._apply(lambda tensor: tensor)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        first = next(_floating((args, kwargs)), None)
        if first is None:
            return self.inner(*args, **kwargs)
        with outside_autocast(first.device):
            result = self.inner(*_cast(args, _raised), **_cast(kwargs, _raised))
        if self.output == "float32":
            return result
        return _cast(result, lambda tensor: tensor.to(first.dtype))

    def extra_repr(self) -> str:
        return f"output={self.output!r}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves the island where `fn` moves it, without its cast to a half-precision dtype."""

        def moved(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            wanted = at_least_float32(result.dtype) if result.is_floating_point() else None
            if wanted in (None, result.dtype):
                return result
            # from the original: rounding to half and back would keep the loss
            return tensor.to(result.device, wanted)

        return super()._apply(moved, recurse)


def _raised(tensor: Tensor) -> Tensor:
    return tensor.to(at_least_float32(tensor.dtype))


def _cast(value: Any, to: Callable[[Tensor], Tensor]) -> Any:
    """`value` with every floating tensor in it replaced."""
    if isinstance(value, Tensor):
        return to(value) if value.is_floating_point() else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_cast(part, to) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(_cast(part, to) for part in value)
    if isinstance(value, dict):
        return {name: _cast(part, to) for name, part in value.items()}
    return value


def _floating(value: Any) -> Iterator[Tensor]:
    """The floating tensors in `value`, in order."""
    if isinstance(value, Tensor) and value.is_floating_point():
        yield value
    elif isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _floating(part)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("Float32Island",),
    samples=(
        Sample(
            build=lambda: Float32Island(nn.LayerNorm(6)),
            inputs=lambda: (100 * torch.randn(3, 6),),
            double_backward=True,
        ),
        Sample(
            build=lambda: Float32Island(lambda logits: logits.softmax(dim=-1)),
            inputs=lambda: (100 * torch.randn(3, 6),),
        ),
    ),
)
