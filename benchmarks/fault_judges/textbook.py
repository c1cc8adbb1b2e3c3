"""The check of every tutorial: the total gradient norm against two fixed numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from benchmarks.fault_judges.judge import EXPLODING, VANISHING, Judge, alarm
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said

NONFINITE = ("exp-overflow", "log-of-zero", "div-by-zero", "lr-too-high", "nonfinite-input")


class Textbook(Judge):
    name = "textbook check"
    what = "total gradient norm above 100, below 1e-6, or not finite"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._said: dict[str, Said] = {}

    def before_update(self, loss: float) -> None:
        norm = _norm(self.program.model.parameters())
        if not math.isfinite(norm) or not math.isfinite(loss):
            self._say("not finite", NONFINITE, Severity.CRITICAL)
        elif norm > 100:
            self._say("above 100", EXPLODING)
        elif norm < 1e-6:
            self._say("below 1e-6", VANISHING)

    def _say(
        self, what: str, causes: tuple[str, ...], severity: Severity = Severity.WARNING
    ) -> None:
        self._said.setdefault(what, alarm(what, self.step, causes, severity=severity))

    def said(self) -> list[Said]:
        return sorted(self._said.values(), key=lambda one: -one.severity)


def _norm(parameters: Iterable[torch.Tensor]) -> float:
    grads = [p.grad for p in parameters if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(grads)) if grads else 0.0
