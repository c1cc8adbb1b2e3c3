"""The running statistics of batch norm stand still, jump, or are those of other data.

## What it does
Reads the momentum of every batch norm; compares the spread of what each one puts out with its
gains, where it normalises by running statistics during training; looks for statistics that are not
finite or negative.

## Why it matters
Evaluation uses the running statistics. With a momentum next to zero they never leave their start;
next to one they are those of the last batch; fixed on other data they scale the signal by what is
missing.

## Passes when
Momentum lies between 0.001 and 0.9 or is None, and fixed statistics bring their input to about unit
spread.

## Fails when
Momentum is outside, a statistic is not finite, or a fixed norm leaves its input more than ten times
too large or too small.

## What to do
A momentum of 0.1: PyTorch counts what is new, TensorFlow's 0.99 is PyTorch's 0.01. Let fixed norms
see the new data before they are fixed.

## Source
Ioffe & Szegedy 2015, algorithm 2; the conventions are those of the two frameworks' documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import ModuleSeen
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Finding


@check(
    code="INI254", causes=("batchnorm-running-stats", "eval-mode-in-training"), stage="architecture"
)
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchnormRunningStatistics:
    """The first norm of each kind is named: what is wrong with one is wrong with all of its kind."""

    min_momentum: float = 1e-3
    """An average of a thousand batches."""
    max_momentum: float = 0.9
    """From here on the statistics are those of the last batch."""
    max_factor: float = 10.0
    """Spread over gain, or its inverse, that a fixed norm may leave."""

    def judge(self, scene: Scene, /) -> Answer:
        norms: dict[str, Any] = {
            path: module
            for path, module in scene.model.named_modules()
            if isinstance(module, _BatchNorm) and isinstance(module.running_var, Tensor)
        }
        if not norms:
            return not_applicable(self, "no batch norm with running statistics")
        asked = (self._of_momentum(norms), self._of_values(norms), self._of_spread(scene, norms))
        found = [one for one in asked if one is not None]
        if not found:
            return passed(self, f"{len(norms)} norms keep their statistics")
        site = found[0].site
        return failed(self, f"{site} does not keep its statistics", len(found), findings=found)

    def _of_momentum(self, norms: dict[str, Any]) -> Finding | None:
        for path, norm in norms.items():
            momentum = 0.1 if norm.momentum is None else float(norm.momentum)
            if norm.training and not self.min_momentum <= momentum < self.max_momentum:
                return finding(
                    self,
                    f"{path} has a momentum of {momentum:g}, expected {self.min_momentum:g} to "
                    f"{self.max_momentum:g}: its running statistics "
                    f"{'never move' if momentum < 0.5 else 'are those of the last batch'}. Try 0.1.",
                    site=path,
                    evidence={"momentum": momentum},
                )
        return None

    def _of_values(self, norms: dict[str, Any]) -> Finding | None:
        for path, norm in norms.items():
            mean, variance = norm.running_mean, norm.running_var
            if not (torch.isfinite(mean).all() and (variance >= 0).all()):
                return finding(
                    self,
                    f"{path} holds running statistics that are not finite or a negative variance: "
                    "evaluation gives NaN. Reset them with reset_running_stats().",
                    site=path,
                )
        return None

    def _of_spread(self, scene: Scene, norms: dict[str, Any]) -> Finding | None:
        for seen in scene.first.modules:
            if seen.path not in norms or seen.output is None or not seen.inputs:
                continue
            if seen.gradient is None:  # an evaluation within the step
                continue
            gain = _gain(norms[seen.path])
            spread = seen.output.std / gain if gain > 0.0 else 1.0
            faint = seen.inputs[0].std ** 2 < 100 * norms[seen.path].eps
            if spread > self.max_factor or (spread < 1 / self.max_factor and not faint):
                return finding(
                    self,
                    f"{seen.path} puts out {number(spread)} times the spread of its gains, expected "
                    "about 1: it normalises by statistics of other data. Let it see the new data in "
                    "training mode before it is fixed.",
                    site=seen.path,
                    causes=_why(norms[seen.path], seen),
                    evidence={"spread": spread},
                )
        return None


def _gain(norm: Any) -> float:
    if norm.weight is None:
        return 1.0
    return float(norm.weight.detach().float().square().mean().sqrt())


def _why(norm: Any, seen: ModuleSeen) -> tuple[str, ...]:
    """Statistics as they were built, used because the step runs in evaluation mode, are no data's."""
    counted = getattr(norm, "num_batches_tracked", None)
    is_new = isinstance(counted, Tensor) and int(counted) == 0
    if is_new and not seen.training:
        return ("eval-mode-in-training", "batchnorm-running-stats")
    return ("batchnorm-running-stats",)
