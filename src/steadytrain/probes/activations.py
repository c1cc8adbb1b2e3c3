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
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.probes.gradients import dense_values

MAX_ELEMENTS: Final = 1 << 18
"""Elements of an output that are read."""

MIN_WINDOW_CALLS: Final = 3
MIN_WINDOW_INPUTS: Final = 256
MAX_WINDOW_CALLS: Final = 10
"""A probe window ends after three sampled steps with 256 inputs, or after ten."""

_RECTIFIERS: Final = (nn.ReLU, nn.ReLU6, nn.Threshold, nn.Hardswish, nn.Hardshrink, nn.Softshrink)
_READERS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
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
    """An even part of the batch that has at most `MAX_ELEMENTS` elements; all of it if small."""
    tensor = tensor.detach()
    stride = -(-tensor.numel() // MAX_ELEMENTS)
    if stride > 1 and tensor.ndim > 1:
        tensor = tensor[::stride]
    return tensor


def measure(module: nn.Module, output: Tensor) -> Tensor | None:
    """The `STATISTICS` of a module's output: [6] in float32, or None for an empty output."""
    values = dense_values(output.detach())
    if values is None or values.numel() == 0:
        return None
    values = part_of(torch.view_as_real(values) if values.is_complex() else values)
    wide = values if values.dtype is torch.float64 else values.float()
    var, mean = torch.var_mean(wide, correction=0)
    low, high = torch.aminmax(wide)
    zeros = 1.0 - torch.count_nonzero(wide) / wide.numel()
    rms = (var + mean * mean).sqrt()
    row = (mean, var.sqrt(), rms, torch.maximum(-low, high), zeros, _saturated(module, wide))
    return torch.stack([value.float() for value in row])


def _saturated(module: nn.Module, values: Tensor) -> Tensor:
    bounds = _RANGES.get(type(module))
    if bounds is None:
        return torch.full((), float("nan"), device=values.device)
    low, high = bounds
    edge = 0.01 * (high - low)
    return ((values < low + edge) | (values > high - edge)).float().mean()


def unit_dim(module: nn.Module, tensor: Tensor) -> int:
    """Which dimension of a module's output counts its units: channels, or the last one."""
    channels_first = isinstance(module, _CONVOLUTIONS) or tensor.ndim >= 4
    return 1 if channels_first and tensor.ndim >= 2 else tensor.ndim - 1


@dataclass(slots=True)
class UnitWindow:
    """Which units were ever non-zero in the current probe window."""

    alive: Tensor | None = None
    calls: int = 0
    inputs: int = 0

    def see(self, values: Tensor, dim: int) -> Tensor | None:
        """Add an output; the dead fraction when the window ends with it, else None."""
        part = part_of(values)
        others = [d for d in range(part.ndim) if d != dim]
        active = (part != 0).any(dim=others) if others else part != 0
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
    rows: list[tuple[str, Tensor]] = field(default_factory=list)
    calls: int = 0
    output_units: UnitWindow = field(default_factory=UnitWindow)
    input_units: UnitWindow = field(default_factory=UnitWindow)

    def see(self, inputs: Any, output: Any) -> None:
        """Measure the first call of the step; a recomputed or repeated one is left out."""
        self.calls += 1
        tensor = first_tensor(output)
        if self.calls > 1 or tensor is None:
            return
        with torch.no_grad(), torch.autocast(tensor.device.type, enabled=False):
            row = measure(self.module, tensor)
            if row is not None:
                self.rows.extend(zip(STATISTICS, row.unbind(), strict=True))
            self._see_units(first_tensor(inputs), tensor)

    def _see_units(self, inputs: Tensor | None, output: Tensor) -> None:
        if isinstance(self.module, _RECTIFIERS) and output.numel():
            dead = self.output_units.see(output.detach(), unit_dim(self.module, output))
            if dead is not None:
                self.rows.append(("dead_fraction", dead))
        if isinstance(self.module, _READERS) and inputs is not None and inputs.requires_grad:
            dead = self.input_units.see(inputs.detach(), unit_dim(self.module, inputs))
            if dead is not None:
                self.rows.append(("input_dead_fraction", dead))

    def take(self) -> list[tuple[str, Tensor]]:
        """The step's measurements; the probe is ready for the next."""
        rows, self.rows, self.calls = self.rows, [], 0
        return rows


def is_traced(model: nn.Module) -> bool:
    """Whether `torch.compile` owns the model's forward, so that no Python hook belongs in it."""
    return type(model).__name__ == "OptimizedModule" or any(
        getattr(module, "_compiled_call_impl", None) is not None for module in model.modules()
    )
