"""steadytrain's own watch, through the same door as the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch

import steadytrain as st
from benchmarks.fault_judges.judge import Judge
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.core.ranking import rank
from steadytrain.lab.zoo.scoring import Said


class Watching(Judge):
    name = "steadytrain"
    what = "`watch(model, optimizers)`, `log(loss=...)`, defaults; findings alone, no trial"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        others = [o for o in program.extra.values() if isinstance(o, torch.optim.Optimizer)]
        self._watch = st.watch(program.model, [program.optimizer, *others], scaler=program.scaler)

    def after_update(self, loss: float) -> None:
        self._watch.log(loss=loss)

    def said(self) -> list[Said]:
        return [
            Said(
                rule=one.rule,
                step=one.step,
                severity=int(one.severity),
                site=one.site,
                causes=tuple(one.causes),
            )
            for one in self._watch.findings()
        ]

    def ranked(self, said: Sequence[Said]) -> list[str]:
        found = [one for one in self._watch.findings() if one.severity >= Severity.WARNING]
        return [name for name, _ in rank(found)]

    def close(self) -> None:
        self._watch.close()
