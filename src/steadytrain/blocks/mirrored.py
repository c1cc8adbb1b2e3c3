"""Units in pairs of opposite sign, through which deep plain networks begin as linear ones.

## Formula
    first layer:     W = sqrt(q) * [V; -V]
    layers between:  W = gain * [V, -V; -V, V] / 2,  V orthogonal
    last layer:      W = gain * [V, -V] / 2

A unit's input u meets -u in its partner, so what the next layer sees is

    phi(u) - phi(-u)

ReLU, LeakyReLU, GELU and SiLU have phi(u) - phi(-u) proportional to u: at the start the whole
network is an orthogonal linear map. Signal and gradient keep their size exactly, at any depth and
width, for every input and every seed. Mish is within 1% of that. Of tanh, SELU, sigmoid and any
other activation the odd part remains, without the mean that shifts the others; the operating
variance q is the largest (at most 1) at which its gradients change by at most sqrt(2) over the
network's depth, and the gain is that of the odd part at q. The first step of training breaks the
pairs, because slopes at u and -u differ; activations that are odd themselves (tanh) start from
plain orthogonal weights at q, which are as good for them and need no pairs.

Why not the exact gain alone: independent normal weights of gain `gain_for` keep the signal on
average over the seeds only. 50 layers of 512 ReLU units have seeds beyond [0.5, 2], and GELU, SiLU,
tanh and SELU cannot have signal and gradient both (see `gain_for`). `steadytrain lab init` has the
figures.

It is a start to train from, too: 30 layers of 64 units without norm or shortcut, 200 steps of Adam
at 1e-3 on the embedded digits, test accuracy with torch's default, exact gain and mirrored: ReLU
0.10, 0.86, 0.97; GELU 0.10, 0.78, 0.96; tanh 0.19, 0.89, 0.95; sigmoid 0.10, 0.10, 0.93 (one seed).

It applies to chains of layers with an activation and nothing else between them, as in
`nn.Sequential`; dropout, flattening and average pooling may stand there too. Other layers of the
model are initialised as by `orthogonal`, and so is a layer with an odd number of units.

## Shape
Linear layers and ungrouped convolutions (mirrored over channels, delta-orthogonal over taps).

## Dtype
As `orthogonal`.

## Cost
Half of the QR work of `orthogonal`. At the start half of the units repeat the others.

## Source
Balduzzi et al. 2017, section 4 (looks-linear, for ReLU; here for any activation, with its operating
point from the maps of Schoenholz et al. 2017); Shang et al. 2016 (pairs of ReLU); Pennington et al.
2017 (why orthogonal). The bound sqrt(2) is the middle, in logarithms, of a band that ends at 2.

## Helps against
`vanishing-gradient`, `exploding-gradient`, `init-too-small`, `init-too-large`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from steadytrain.blocks._activation import Activation, elementwise, key_of, name_of
from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._flow import Flow, flow_of
from steadytrain.blocks._layers import Layer
from steadytrain.blocks._rewriting import rewrite
from steadytrain.blocks._weights import check_materialized
from steadytrain.blocks.gains import gain_for, gradient_factor
from steadytrain.blocks.orthogonal import fill_orthogonal, orthogonal_matrix, write_tap
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

GRADIENT_BOUND: Final = math.sqrt(2.0)
"""Factor by which the gradient may change over the whole depth."""
NUM_HALVINGS: Final = 20
"""The smallest operating variance that is tried is 2^-20: a bfloat16 tells it from zero."""


@dataclass(frozen=True)
class Operation:
    """How an activation is used: at which variance, with which gain, in pairs or alone."""

    activation: Activation
    depth: int

    @cached_property
    def function(self) -> Callable[[Tensor], Tensor]:
        """The odd part of the activation, which is all that its pairs let through."""
        function = elementwise(self.activation)
        return lambda x: (function(x) - function(-x)) / 2

    @cached_property
    def is_odd(self) -> bool:
        """Whether the activation is odd already, so that a partner would add nothing."""
        points = torch.linspace(-3.0, 3.0, 25, dtype=torch.float64, device="cpu")
        with torch.no_grad():
            whole = elementwise(self.activation)(points)
            return bool(torch.allclose(whole, self.function(points), rtol=1e-9, atol=1e-12))

    @cached_property
    def variance(self) -> float:
        """The largest variance up to 1 at which gradients keep within the bound; 1 if none does."""
        if self._is_within(1.0) or not self._is_within(2.0**-NUM_HALVINGS):
            return 1.0
        low, high = -float(NUM_HALVINGS), 0.0
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if self._is_within(2.0**middle) else (low, middle)
        return 2.0**low

    @cached_property
    def gain(self) -> float:
        """The gain of the odd part at that variance."""
        return gain_for(self.function, variance=self.variance)

    def _is_within(self, variance: float) -> bool:
        factor = gradient_factor(self.function, variance)
        return factor > 0 and abs(math.log(factor)) * self.depth <= math.log(GRADIENT_BOUND)


def chains_of(flow: Flow) -> dict[str, int]:
    """For each layer in a chain that can be mirrored, how many activations the chain has."""
    layers = {layer.path: layer for layer in flow.layers}
    passing = {key_of(one): _passes(one) for one in _once(flow.activations)}
    roots: dict[str, str] = {}
    for layer in flow.layers:
        roots[layer.path] = layer.path
        feeder = layers.get(layer.feeder or "")
        if feeder is None or layer.before is None or not passing[key_of(layer.before)]:
            continue
        if _is_plain(feeder) and _is_plain(layer) and feeder.matrices[0].view.shape[0] % 2 == 0:
            roots[layer.path] = roots[feeder.path]
    lengths: dict[str, int] = {}
    for path, root in roots.items():
        lengths[root] = lengths.get(root, 0) + (path != root)
    return {path: lengths[root] for path, root in roots.items() if lengths[root]}


def _once(activations: Iterable[Activation]) -> Iterable[Activation]:
    return {key_of(one): one for one in activations}.values()


def _passes(activation: Activation) -> bool:
    """Whether a signal comes through a pair: through one of an even function nothing does."""
    try:
        return Operation(activation, 1).gain > 0
    except UsageError:
        return False


def _is_plain(layer: Layer) -> bool:
    module = layer.module
    is_conv = isinstance(module, _ConvNd) and not module.transposed and module.groups == 1
    return isinstance(module, nn.Linear) or is_conv


class _Mirror:
    """Fills the layers of a model's chains."""

    def __init__(self, flow: Flow) -> None:
        self._lengths = chains_of(flow)
        inner = [layer for layer in flow.layers if layer.feeder in self._lengths]
        self._reads = {layer.path for layer in inner if layer.path in self._lengths}
        self._feeds = {layer.feeder for layer in inner if layer.path in self._reads}
        self._known: dict[tuple[Hashable, int], Operation] = {}

    def fill(self, layer: Layer) -> tuple[str, str]:
        if layer.path not in self._lengths:
            return fill_orthogonal(layer)
        before = self._operation(layer, layer.before) if layer.path in self._reads else None
        after = self._operation(layer, layer.after) if layer.path in self._feeds else None
        operation = after or before
        if operation is None or not layer.matrices:
            return fill_orthogonal(layer)
        block = _block(layer, before, after)
        write_tap(layer.matrices[0], block)
        paired = [one for one in (before, after) if one is not None and not one.is_odd]
        what = "mirrored pairs, orthogonal" if paired else "orthogonal"
        return what, (
            f"{name_of(operation.activation)} over {operation.depth} layers, "
            f"variance {operation.variance:.3g}, gain {operation.gain:.4g}"
        )

    def _operation(self, layer: Layer, activation: Activation | None) -> Operation | None:
        if activation is None:
            return None
        key = key_of(activation), self._lengths[layer.path]
        return self._known.setdefault(key, Operation(activation, key[1]))


def _block(layer: Layer, before: Operation | None, after: Operation | None) -> Tensor:
    """The matrix [out, in] of a layer between two activations, or at an end of its chain."""
    view = layer.matrices[0].view
    rows, columns = view.shape[:2]
    in_pairs, out_pairs = (one is not None and not one.is_odd for one in (before, after))
    tall, wide = rows // (1 + out_pairs), columns // (1 + in_pairs)
    core = orthogonal_matrix(tall, wide, view) * (max(1.0, tall / wide) ** 0.5)
    core *= _scale(layer, before, after)
    if in_pairs:
        core = torch.cat([core, -core], dim=1) / 2
    return torch.cat([core, -core]) if out_pairs else core


def _scale(layer: Layer, before: Operation | None, after: Operation | None) -> float:
    """What turns the variance behind `before` into the one that `after` works at."""
    if before is None:
        own = 1.0 if layer.before is None else gain_for(layer.before)
        return own * math.sqrt(1.0 if after is None else after.variance)
    wanted = before.variance if after is None else after.variance
    return before.gain * math.sqrt(wanted / before.variance)


def mirror(model: nn.Module, flow: Flow | None = None) -> list[Change]:
    """The chains of the model are mirrored in place, and its other layers are orthogonal."""
    check_materialized(model)
    flow = flow_of(model) if flow is None else flow
    return rewrite(model, _Mirror(flow).fill, flow)


SCHEMES: Final[dict[str, Scheme]] = {"mirrored": mirror}


def _build_sample() -> nn.Module:
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.SELU(), nn.Flatten(), nn.Linear(24, 4))
    mirror(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=(),
    samples=(Sample(build=_build_sample, inputs=lambda: (torch.randn(3, 2, 8),)),),
)
