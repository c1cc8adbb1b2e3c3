"""Momentum or the second moment averages over far too many steps.

## What it does
Reads `momentum` and `betas` of every parameter group.

## Why it matters
A momentum of m averages over 1 / (1 - m) steps: past a few hundred the weights go on in a
direction that turned long ago. Adam needs its first average to be shorter than the root of its
second: with the betas swapped the length of a step is that of now and its direction that of long
ago. A second moment of ten thousand steps keeps the scale of the first gradients for the whole
run.

## Passes when
Momentum is below 0.995, beta1 below 0.99 and below the root of beta2, and beta2 below 0.9998.

## Fails when
One of these bounds is passed.

## What to do
0.9 for momentum; (0.9, 0.999) for Adam, (0.9, 0.95) for large language models. A larger momentum
needs a rate that is smaller by as much.

## Source
Kingma & Ba 2015, theorem 4.1: beta1 squared below the root of beta2; Sutskever et al. 2013 go to
0.999 at the end of training only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Finding


@check(code="OPT256", causes=("momentum-too-high", "adam-beta2-too-high"), stage="optimizer")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExtremeMomentum:
    """Options of the check."""

    max_momentum: float = 0.995
    """Of SGD and its kin: an average of two hundred steps."""
    max_beta1: float = 0.99
    """Of Adam and its kin."""
    max_beta2_steps: float = 5000.0
    """Steps the second moment may average over."""

    def judge(self, scene: Scene, /) -> Answer:
        found: list[Finding] = []
        memories: list[float] = []
        for optimizer in scene.optimizers.values():
            for group in optimizer.param_groups:
                memory = _momentum(group)
                if memory is not None:
                    memories.append(memory)
                    found += self._of_group(group)
        if not memories:
            return not_applicable(self, "no optimizer with momentum")
        seen = f"momentum up to {number(max(memories))}"
        if not found:
            return passed(self, seen, max(memories))
        return failed(self, seen, max(memories), findings=found[:4])

    def _of_group(self, group: dict[str, Any]) -> Iterator[Finding]:
        betas = _betas(group)
        momentum = float(group.get("momentum", 0.0) or 0.0)
        if not momentum < self.max_momentum:
            yield self._momentum(momentum, f"momentum is {momentum:g}, an average over")
        if betas is None:
            return
        beta1, beta2 = betas
        if not (beta1 < self.max_beta1 and beta1 <= math.sqrt(beta2) + 1e-9):
            yield self._momentum(beta1, f"betas are ({beta1:g}, {beta2:g}), averages over")
        elif not _memory(beta2) < self.max_beta2_steps:
            yield finding(
                self,
                f"beta2 is {beta2:g}: the second moment averages over {number(_memory(beta2))} "
                "steps and keeps the scale of the first gradients. Try 0.999, or 0.95 where the "
                "gradients change their scale.",
                causes=("adam-beta2-too-high",),
                evidence={"beta2": beta2},
            )

    def _momentum(self, value: float, what: str) -> Finding:
        return finding(
            self,
            f"The {what} {number(_memory(value))} steps of direction: the weights go on long after "
            "the gradient has turned. Try 0.9, and betas of (0.9, 0.999).",
            causes=("momentum-too-high",),
            evidence={"momentum": value},
        )


def _memory(value: float) -> float:
    return 1.0 / max(1e-12, 1.0 - value)


def _betas(group: dict[str, Any]) -> tuple[float, float] | None:
    """Both betas of Adam and its kin; optimizers with other numbers of them mean others."""
    betas = group.get("betas")
    if not isinstance(betas, tuple | list) or len(betas) != 2 or "eps" not in group:
        return None
    return float(betas[0]), float(betas[1])


def _momentum(group: dict[str, Any]) -> float | None:
    betas = _betas(group)
    if betas is not None:
        return betas[0]
    return float(group["momentum"] or 0.0) if "momentum" in group else None
