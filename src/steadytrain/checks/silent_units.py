"""The units of the activations are neither silent nor at their ends before training begins.

## What it does
Counts, per activation, the units that are zero on the whole first batch, and the share of sigmoid
and tanh outputs within 1% of an end of their range.

## Why it matters
A unit that is silent on every input gets no gradient and never wakes; one at the end of its range
gets a twenty-fifth of it or less.

## Passes when
Some unit of every activation speaks, and fewer than 90% of the outputs of sigmoid and tanh stand at
an end.

## Fails when
At least 90% of the units of a ReLU are silent on the whole batch, or at least 90% of a sigmoid's or
tanh's outputs stand at an end. (Half of the outputs of a ReLU being zero is as it should be.)

## What to do
Biases at zero, weights by He's rule for ReLU or Xavier's for tanh, inputs of mean 0 and variance 1.

## Source
Lu et al. 2019 (Dying ReLU and Initialization); Glorot & Bengio 2010 on saturation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import ModuleSeen
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Finding

_RECTIFIERS: Final = ("ReLU", "ReLU6", "Hardswish")
_BOUNDED: Final = ("Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh", "Softsign")
_MIN_SAMPLES: Final = 8


@check(code="ACT201", causes=("dying-relu", "saturated-activation"), stage="start")
@dataclass(frozen=True, slots=True, kw_only=True)
class SilentUnits:
    """Activations begin in the range in which they learn."""

    max_silent_fraction: float = 0.9
    """Share of units that are zero on the whole batch."""
    max_saturated_fraction: float = 0.9
    """Share of outputs at an end of the range."""

    def judge(self, scene: Scene, /) -> Answer:
        seen = [one for one in scene.first.modules if one.is_leaf and one.output is not None]
        units = [one for one in seen if one.kind in (*_RECTIFIERS, *_BOUNDED) and _is_wide(one)]
        if not units:
            raise Unseen("no ReLU, sigmoid or tanh is a module of its own")
        said = {one.causes: one for unit in reversed(units) for one in self._said(unit)}
        findings = list(said.values())
        worst = max(max(one.dead_unit_fraction, one.saturated_fraction) for one in units)
        shown = f"at most {worst:.0%} silent or at an end, of {len(units)} activations"
        if findings:
            return failed(self, shown, worst, findings=findings)
        return passed(self, shown, worst)

    def _said(self, one: ModuleSeen) -> list[Finding]:
        if one.kind in _RECTIFIERS and one.dead_unit_fraction >= self.max_silent_fraction:
            return [
                finding(
                    self,
                    f"{one.dead_unit_fraction:.0%} of the units of {one.path} are zero on the whole "
                    f"first batch, expected less than {self.max_silent_fraction:.0%}: they get no "
                    "gradient. Look for negative biases and for inputs far from zero.",
                    site=one.path,
                    causes=("dying-relu",),
                    evidence={"silent_fraction": one.dead_unit_fraction},
                )
            ]
        if one.kind in _BOUNDED and one.saturated_fraction >= self.max_saturated_fraction:
            return [
                finding(
                    self,
                    f"{one.saturated_fraction:.0%} of the outputs of {one.path} ({one.kind}) stand at "
                    f"an end of its range, expected less than {self.max_saturated_fraction:.0%}: they "
                    "get almost no gradient. Make the weights smaller, or normalise what it is given.",
                    site=one.path,
                    causes=("saturated-activation", "init-too-large", "data-not-normalized"),
                    evidence={"saturated_fraction": one.saturated_fraction},
                )
            ]
        return []


def _is_wide(one: ModuleSeen) -> bool:
    shape = one.output.shape if one.output is not None else ()
    return len(shape) >= 2 and shape[0] >= _MIN_SAMPLES and shape[-1] > 1
