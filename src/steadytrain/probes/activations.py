"""What comes out of every module: size, spread, zeros, dead and saturated units.

Stage: forward, on sampled steps, by forward hooks that are attached for that step only and that
read detached outputs. Cost: a few passes over at most `MAX_ELEMENTS` elements of each output,
so a large activation is measured on an even part of its batch. No synchronisation. Under
`torch.compile` the hooks trace to nothing.

A unit is dead when it was zero on *every* input of a probe window of several sampled steps; a
healthy ReLU layer is half zeros and has no dead unit. Networks that call `F.relu` show their
dead units at the module that reads them, where the input comes from inside the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.probes import attention, layers
from steadytrain.probes.gradients import dense_values

MAX_ELEMENTS: Final = 1 << 16
"""Elements of an output that are read."""

MIN_WINDOW_CALLS: Final = 3
MIN_WINDOW_INPUTS: Final = 256
MAX_WINDOW_CALLS: Final = 10
"""A probe window ends after three sampled steps with 256 inputs, or after ten."""

_RECTIFIERS: Final = (nn.ReLU, nn.ReLU6, nn.Threshold, nn.Hardswish, nn.Hardshrink, nn.Softshrink)
_READERS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LOOKED_INTO: Final = (*layers.READERS, nn.modules.batchnorm._BatchNorm)
_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

_RANGES: Final[dict[type[nn.Module], tuple[float, float]]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Hardtanh: (-1.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
}

STATISTICS: Final = (
    "act_mean",
    "act_std",
    "act_rms",
    "act_max",
    "act_zero_fraction",
    "saturated_fraction",
)
"""What `measure` returns, in order."""


def first_tensor(value: object) -> Tensor | None:
    """The first floating tensor in a module's output or inputs, however they are nested."""
    if isinstance(value, Tensor):
        return value if value.is_floating_point() or value.is_complex() else None
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for item in value:
            found = first_tensor(item)
            if found is not None:
                return found
    return None


def part_of(tensor: Tensor) -> Tensor:
    """An even part of the batch that has at most `MAX_ELEMENTS` elements; all of it if small.

    Where one sample is larger than that, an even part of its positions.
    """
    tensor = tensor.detach()
    for dim in (0, 1 if tensor.ndim == 3 else 2):
        stride = -(-tensor.numel() // MAX_ELEMENTS)
        if stride > 1 and tensor.ndim > dim + 1:
            every = tuple(slice(None) for _ in range(dim))
            tensor = tensor[(*every, slice(None, None, stride))]
    return tensor.contiguous()


def measure(module: nn.Module, part: Tensor) -> Tensor:
    """The `STATISTICS` of a part of a module's output: [6] in float32.

    Args:
        module: says whether the output is bounded.
        part: real, detached, not empty.
    """
    wide = part if part.dtype is torch.float64 else part.float()
    mean = wide.mean()
    # two vectorised passes: on a CPU `var_mean` takes ten times as long
    std = torch.linalg.vector_norm(wide - mean) / wide.numel() ** 0.5
    low, high = torch.aminmax(wide)
    zeros = torch.eq(wide, 0, out=torch.empty_like(wide)).mean()  # `count_nonzero` branches
    rms = (std * std + mean * mean).sqrt()
    row = (mean, std, rms, torch.maximum(-low, high), zeros, _saturated(module, wide))
    return torch.stack(row).float()


def _saturated(module: nn.Module, values: Tensor) -> Tensor:
    bounds = _RANGES.get(type(module))
    if bounds is None:
        return _unmeasured(values.device, values.dtype)
    low, high = bounds
    edge = 0.01 * (high - low)
    return ((values < low + edge) | (values > high - edge)).to(values.dtype).mean()


@cache
def _unmeasured(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.full((), float("nan"), device=device, dtype=dtype)


def unit_dim(module: nn.Module, tensor: Tensor) -> int:
    """Which dimension of a module's output counts its units: channels, or the last one."""
    if isinstance(module, _CONVOLUTIONS):
        return tensor.ndim - len(module.kernel_size) - 1
    return 1 if tensor.ndim >= 4 and not isinstance(module, nn.Linear) else tensor.ndim - 1


@dataclass(slots=True)
class UnitWindow:
    """Which units were ever non-zero in the current probe window."""

    alive: Tensor | None = None
    calls: int = 0
    inputs: int = 0

    def see(self, part: Tensor, dim: int) -> Tensor | None:
        """Add a part of an output; the dead fraction when the window ends with it, else None."""
        if part.ndim == 0:
            part, dim = part.reshape(1), 0
        others = [d for d in range(part.ndim) if d != dim]
        # the largest magnitude is vectorised, `any` is not; a NaN is no zero in either
        active = (part.abs().amax(dim=others) if others else part) != 0
        if self.alive is None or self.alive.shape != active.shape:
            self.alive, self.calls, self.inputs = torch.zeros_like(active), 0, 0
        self.alive |= active
        self.calls += 1
        self.inputs += part.numel() // max(1, part.shape[dim])
        if self.calls < MAX_WINDOW_CALLS and (
            self.calls < MIN_WINDOW_CALLS or self.inputs < MIN_WINDOW_INPUTS
        ):
            return None
        dead = 1.0 - self.alive.float().mean()
        self.alive = None
        return dead


@dataclass(slots=True)
class ModuleProbe:
    """What one module's forward hook gathers during a sampled step."""

    module: nn.Module
    calls: int = 0
    row: Tensor | None = None
    """The `STATISTICS` of the step: [6]."""
    dead: Tensor | None = None
    input_dead: Tensor | None = None
    more: dict[tuple[str, ...], Tensor] = field(default_factory=dict[tuple[str, ...], Tensor])
    """Rows of what this kind of layer tells beside its output, by their statistics."""
    output_units: UnitWindow = field(default_factory=UnitWindow)
    input_units: UnitWindow = field(default_factory=UnitWindow)

    def see(self, inputs: Any, output: Any) -> None:
        """Measure the first call of the step; a recomputed or repeated one is left out."""
        self.calls += 1
        if self.calls > 1:
            return
        tensor = first_tensor(output)
        part = None if tensor is None else _real_part(tensor)
        if tensor is None or part is None:
            return
        self.row = measure(self.module, part)
        if isinstance(self.module, _RECTIFIERS):
            self.dead = self.output_units.see(part, unit_dim(self.module, tensor))
        self._see_input(inputs)

    def _see_input(self, inputs: Any) -> None:
        source = first_tensor(inputs) if isinstance(self.module, _LOOKED_INTO) else None
        read = None if source is None else _real_part(source)
        self.more |= layers.told(self.module, source, read)
        logits = attention.of_module(self.module, inputs)
        if logits is not None:
            self.more[attention.STATISTICS] = logits
        if source is None or read is None or not source.requires_grad:
            return
        if isinstance(self.module, _READERS):
            self.input_dead = self.input_units.see(read, unit_dim(self.module, source))

    def clear(self) -> None:
        """The probe is ready for the next sampled step; its unit windows go on."""
        self.calls, self.row, self.dead, self.input_dead, self.more = 0, None, None, None, {}


def _real_part(tensor: Tensor) -> Tensor | None:
    """The part of a tensor that is read, complex elements as two; None if there is none."""
    values = dense_values(tensor.detach())
    if values is None or not values.numel():
        return None
    return part_of(torch.view_as_real(values) if values.is_complex() else values)


def is_traced(model: nn.Module) -> bool:
    """Whether `torch.compile` owns the model's forward, so that no Python hook belongs in it."""
    return any(
        type(module).__name__ == "OptimizedModule"
        or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
