"""What comes out of every module: size, spread, zeros, dead and saturated units.

Stage: forward, on sampled steps, by forward hooks that are attached for that step only and that
read detached outputs. Cost: a few passes over at most `MAX_ELEMENTS` elements of each output,
so a large activation is measured on an even part of its batch; small ones are copied and
measured side by side once the step is over, since a call costs more than their elements. No
synchronisation. Under `torch.compile` the hooks trace to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.probes import attention, layers
from steadytrain.probes.foreach import SMALL
from steadytrain.probes.gradients import dense_values
from steadytrain.probes.units import Units, unit_dim, units_of

MAX_ELEMENTS: Final = 1 << 15
"""Elements of an output that are read."""

_RECTIFIERS: Final = (nn.ReLU, nn.ReLU6, nn.Threshold, nn.Hardswish, nn.Hardshrink, nn.Softshrink)
_READERS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LOOKED_INTO: Final = (*layers.READERS, nn.modules.batchnorm._BatchNorm)
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


def measure(parts: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    """The `STATISTICS` of parts of outputs, side by side: [outputs, 6] in float32.

    Args:
        parts: [outputs, elements], real, detached, not empty.
        bounds: the range of what the modules can put out; None if it has none.
    """
    wide = parts if parts.dtype is torch.float64 else parts.float()
    mean = wide.mean(dim=1, keepdim=True)
    # two vectorised passes: on a CPU `var_mean` takes ten times as long
    std = torch.linalg.vector_norm(wide - mean, dim=1, keepdim=True) / wide.shape[1] ** 0.5
    low, high = wide.amin(dim=1, keepdim=True), wide.amax(dim=1, keepdim=True)
    # `count_nonzero` branches
    zeros = torch.eq(wide, 0, out=torch.empty_like(wide)).mean(dim=1, keepdim=True)
    rms = (std * std + mean * mean).sqrt()
    row = (mean, std, rms, torch.maximum(-low, high), zeros, _saturated(wide, bounds))
    return torch.cat(row, dim=1).float()


def _saturated(values: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    if bounds is None:
        return torch.full_like(values[:, :1], float("nan"))
    low, high = bounds
    edge = 0.01 * (high - low)
    outside = (values < low + edge) | (values > high - edge)
    return outside.to(values.dtype).mean(dim=1, keepdim=True)


@dataclass(slots=True)
class ModuleProbe:
    """What one module's forward hook gathers during a sampled step."""

    module: nn.Module
    calls: int = 0
    row: Tensor | None = None
    """The `STATISTICS` of the step: [6]."""
    output: Tensor | None = None
    """A copy of a small output that is measured when the step is over."""
    output_units: Units | None = None
    input_units: Units | None = None
    more: dict[tuple[str, ...], Tensor] = field(default_factory=dict[tuple[str, ...], Tensor])
    """Rows of what this kind of layer tells beside its output, by their statistics."""

    def see(self, inputs: Any, output: Any) -> None:
        """Measure the first call of the step; a recomputed or repeated one is left out."""
        self.calls += 1
        if self.calls > 1:
            return
        tensor = first_tensor(output)
        part = None if tensor is None else _real_part(tensor)
        if tensor is None or part is None:
            return
        if part.numel() <= SMALL:
            self.output = part = part.clone()
        else:
            self.row = measure(part.reshape(1, -1), self.bounds)[0]
        if isinstance(self.module, _RECTIFIERS):
            self.output_units = units_of(part, unit_dim(self.module, tensor), may_wait=True)
        self._see_input(inputs)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The range of what the module can put out; None if it has none."""
        return _RANGES.get(type(self.module))

    def _see_input(self, inputs: Any) -> None:
        logits = attention.of_module(self.module, inputs)
        if logits is not None:
            self.more[attention.STATISTICS] = logits
        source = first_tensor(inputs) if isinstance(self.module, _LOOKED_INTO) else None
        read = None if source is None else _real_part(source)
        self.more |= layers.told(self.module, source, read)
        if source is None or read is None or not source.requires_grad:
            return
        if isinstance(self.module, _READERS):
            dim = unit_dim(self.module, source)
            self.input_units = units_of(read, dim, may_wait=False)

    def clear(self) -> None:
        """The probe is ready for the next sampled step."""
        self.calls, self.row, self.output, self.more = 0, None, None, {}
        self.output_units = self.input_units = None


def rows(seen: Sequence[tuple[str, ModuleProbe]]) -> Iterator[tuple[Tensor, list[str]]]:
    """The `STATISTICS` of every module, side by side: [modules, 6], and the modules' names."""
    groups: dict[Any, list[tuple[str, Tensor]]] = {}
    for name, probe in seen:
        if (held := probe.output) is not None:
            key = held.shape, held.dtype, held.device, probe.bounds
            groups.setdefault(key, []).append((name, held))
        elif probe.row is not None:
            groups.setdefault(probe.row.device, []).append((name, probe.row))
    for key, group in groups.items():
        parts = torch.stack([part for _, part in group])
        if isinstance(key, tuple):
            *_, bounds = key
            parts = measure(parts.reshape(len(group), -1), bounds)
        yield parts, [name for name, _ in group]


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
