"""The layers of a model, collected while the operations of its forward pass go by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable
from dataclasses import dataclass, replace
from typing import Final

from torch import nn

from steadytrain.blocks._activation import Activation, elementwise, is_identity, key_of
from steadytrain.blocks._matrices import Matrix, matrices
from steadytrain.blocks._weights import is_norm
from steadytrain.blocks.gains import gain_for
from steadytrain.core.errors import UsageError

_POOLS: Final = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.Upsample)
_AVERAGES: Final = (nn.Flatten, nn.Unflatten, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
                    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
                    nn.modules.dropout._DropoutNd, nn.Identity)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A module with weights and what its signal goes through on both sides."""

    path: str
    module: nn.Module
    matrices: tuple[Matrix, ...]
    before: Activation | None = None
    """The last activation its input went through, unless a norm or a sum came after that."""
    after: Activation | None = None
    """The first activation its output goes through."""
    is_normed: bool = False
    """Whether a norm stands between it and that activation."""
    is_output: bool = False
    """Whether neither another layer nor an activation nor a sum comes after it."""
    feeder: str | None = None
    """The one layer whose output is its input through an activation and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signal:
    """What is known of a value on its way."""

    source: str | None = None
    activation: Activation | None = None
    is_normed: bool = False
    is_direct: bool = False
    """Whether since its source it went through nothing but one activation."""


class Reader:
    """Collects layers; each call says what a value goes through and returns the value behind."""

    def __init__(self) -> None:
        self.layers: dict[str, Layer] = {}
        self._calls: Counter[str] = Counter()
        self._kinds: dict[Hashable, str] = {}

    def module(self, path: str, module: nn.Module, signal: Signal) -> Signal:
        found = tuple(matrices(path, module))
        if found:
            return self._layer(path, module, found, signal)
        if is_norm(module):
            return replace(signal, activation=None, is_normed=True, is_direct=False)
        if isinstance(module, _AVERAGES):
            return signal
        if isinstance(module, _POOLS):
            return replace(signal, is_direct=False)
        return self.activation(module, signal)

    def activation(self, activation: Activation, signal: Signal) -> Signal:
        """The signal behind what may be an activation; behind anything else, an unknown one."""
        kind = self._kind(activation)
        if kind != "activation":
            return signal if kind == "identity" else Signal()
        layer = self.layers.get(signal.source or "")
        if layer is not None and layer.after is None and signal.activation is None:
            self.layers[layer.path] = replace(
                layer, after=activation, is_normed=layer.is_normed or signal.is_normed
            )
        is_first = signal.activation is None
        return replace(
            signal, activation=activation, is_direct=signal.is_direct and is_first, is_normed=False
        )

    def _kind(self, activation: Activation) -> str:
        """`activation`, `identity`, or `other` for what has no gain."""
        key = key_of(activation)
        if key not in self._kinds:
            try:
                gain_for(activation)
                identical = is_identity(elementwise(activation))
                self._kinds[key] = "identity" if identical else "activation"
            except UsageError:
                self._kinds[key] = "other"
        return self._kinds[key]

    def _layer(
        self, path: str, module: nn.Module, found: tuple[Matrix, ...], signal: Signal
    ) -> Signal:
        self._calls[path] += 1
        feeder = signal.source if signal.is_direct and signal.activation is not None else None
        if self._calls[path] == 1:
            self.layers[path] = Layer(
                path=path, module=module, matrices=found, before=signal.activation, feeder=feeder
            )
        else:
            self.layers[path] = replace(self.layers[path], feeder=None)
        once = self._calls[path] == 1
        return Signal(source=path, is_direct=once)

    def finished(self, outputs: Container[str]) -> tuple[Layer, ...]:
        """The layers; one that is called more than once feeds nobody."""
        return tuple(
            replace(
                layer,
                is_output=layer.path in outputs and layer.after is None,
                feeder=None if self._calls[layer.feeder or ""] > 1 else layer.feeder,
            )
            for layer in self.layers.values()
        )
