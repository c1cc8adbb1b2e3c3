"""The signal keeps its size on the way forward, and the gradient on the way back.

## What it does
Compares the size of the gradient (root mean square) at the outputs of the layers with weights, from
the first to the last, and that of the layers' outputs.

## Why it matters
Depth multiplies: a factor of 4 per layer, lost or gained, is a million over ten. Layers that get a
millionth of the others' gradient do not learn; a signal that has grown a thousandfold drives
the softmax or the activations behind it to their ends.

## Passes when
Gradients lie within a factor of 10,000 of the last layer's, and outputs within 1,000 of the first's.

## Fails when
The gradient per element at the first layers is below 1e-4 or above 1e4 of the last one's and
changes steadily with depth, or the outputs shrink or grow by more than 1e3 over at least four layers.

## What to do
Initialise for the activation (`steadytrain.blocks.initialize(model)`), put a norm or a residual
connection into the stack, or use fewer layers.

## Source
Glorot & Bengio 2010, section 4: gradients back-propagated by depth; He et al. 2015. The limit of
1e-4 is what the rule on vanishing gradients uses within a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import ModuleSeen
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Finding

_WEIGHTED: Final = (
    "Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "Bilinear",
)  # fmt: skip

_STEADY: Final = 0.8
"""Rank correlation with depth from which a change is one that depth makes."""


@check(
    code="GRD201",
    causes=("vanishing-gradient", "exploding-gradient", "init-too-small", "init-too-large"),
    stage="start",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFlow:
    """Depth neither starves nor floods a layer."""

    max_gradient_ratio: float = 1e4
    """Gradient per element of one end of the stack over that of the other."""
    max_signal_ratio: float = 1e3
    """The same of the outputs on the way forward."""
    min_layers: int = 4
    """Layers from which there is a depth to judge."""

    def judge(self, scene: Scene, /) -> Answer:
        layers = _layers(scene.first.modules)
        if len(layers) < self.min_layers:
            raise Unseen(f"{len(layers)} layers with weights: no depth to judge")
        back = [_gradient(one) for one in layers]
        forward = [one.output.rms if one.output else 0.0 for one in layers]
        seen = f"gradients {_ratio(back):.2g}, outputs {_ratio(forward[::-1]):.2g} over {len(layers)} layers"
        findings = [*self._backward(layers, back), *self._forward(layers[:-1], forward[:-1])]
        if findings:
            return failed(self, seen, _ratio(back), findings=findings)
        return passed(self, seen, _ratio(back))

    def _backward(self, layers: Sequence[ModuleSeen], sizes: Sequence[float]) -> list[Finding]:
        ratio = _ratio(sizes)
        if not 0 < ratio < math.inf or not _is_steady(sizes):
            return []
        numbers = {"ratio": ratio, "first": sizes[0], "last": sizes[-1], "num_layers": len(layers)}
        place = f"{layers[0].path} is {ratio:.2g} of that of {layers[-1].path}"
        if ratio < 1 / self.max_gradient_ratio:
            text = f"The gradient at {place}, {len(layers)} layers later: it vanishes on the way back. "
            causes = ("vanishing-gradient", *self._why(layers), "missing-residual", "missing-norm")
        elif ratio > self.max_gradient_ratio:
            text = f"The gradient at {place}, {len(layers)} layers later: it explodes on the way back. "
            causes = ("exploding-gradient", "init-too-large", "missing-norm")
        else:
            return []
        limit = f"Expected a factor below {self.max_gradient_ratio:g}. "
        remedy = (
            "Initialise for the activation, add norms or residual connections, or remove layers."
        )
        return [
            finding(
                self,
                text + limit + remedy,
                site=layers[0].path,
                causes=tuple(dict.fromkeys(causes)),
                evidence=numbers,
            )
        ]

    def _forward(self, layers: Sequence[ModuleSeen], sizes: Sequence[float]) -> list[Finding]:
        if len(sizes) < self.min_layers or not _is_steady(sizes):
            return []
        ratio = _ratio(sizes[::-1])
        if 1 / self.max_signal_ratio <= ratio <= self.max_signal_ratio:
            return []
        grows = ratio > 1
        verb, causes = (
            ("grow", ("init-too-large", "missing-norm", "residual-growth"))
            if grows
            else ("shrink", ("init-too-small", "vanishing-gradient"))
        )
        return [
            finding(
                self,
                f"The outputs {verb} by {ratio:.2g} from {layers[0].path} to {layers[-1].path}, over "
                f"{len(layers)} layers. Expected a factor below {self.max_signal_ratio:g}: initialise "
                "for the activation, or put norms between the layers.",
                site=layers[-1].path,
                causes=causes,
                evidence={"ratio": ratio, "first": sizes[0], "last": sizes[-1]},
            )
        ]

    def _why(self, layers: Sequence[ModuleSeen]) -> tuple[str, ...]:
        """A signal that shrinks too means weights; one that does not means the activation."""
        sizes = [one.output.rms if one.output else 0.0 for one in layers[:-1]]
        return ("init-too-small",) if _ratio(sizes[::-1]) < 0.01 else ()


def _layers(modules: Sequence[ModuleSeen]) -> list[ModuleSeen]:
    """The layers with weights that got a gradient, in order of their first call."""
    first: dict[str, ModuleSeen] = {}
    for one in modules:
        if one.kind in _WEIGHTED and one.gradient is not None and one.output is not None:
            first.setdefault(one.path, one)
    return list(first.values())


def _gradient(one: ModuleSeen) -> float:
    return 0.0 if one.gradient is None else one.gradient.rms


def _ratio(sizes: Sequence[float]) -> float:
    """The first over the last; NaN where neither can be told."""
    if not sizes or not sizes[-1] > 0:
        return math.nan
    return sizes[0] / sizes[-1]


def _is_steady(sizes: Sequence[float]) -> bool:
    """Whether the sizes go one way with depth, by Spearman's rank correlation."""
    if any(not 0 < size < math.inf for size in sizes):
        return False
    ranks = np.argsort(np.argsort(sizes))
    if len(set(sizes)) < 2:
        return False
    return abs(float(np.corrcoef(ranks, np.arange(len(sizes)))[0, 1])) >= _STEADY
