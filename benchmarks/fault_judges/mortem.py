"""torchmortem: a report when training has ended."""

from __future__ import annotations

import atexit

from benchmarks.fault_judges.judge import DEAD, EXPLODING, STILL, VANISHING, Judge, alarm
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said

READ_AS = {
    "vanishing": VANISHING,
    "exploding": EXPLODING,
    "stalling": STILL,
    "dead units": DEAD,
    "saturation": ("saturated-activation", "init-too-large"),
    "update ratio too high": ("lr-too-high", "missing-warmup"),
    "update ratio too low": ("lr-too-low", "frozen-params"),
    "divergence": ("lr-too-high", "loss-sign"),
    "plateau": ("lr-too-low", "label-noise", "double-softmax"),
    "weight norm explosion": ("lr-too-high", "init-too-large"),
    "stagnant": STILL,
    "starvation": VANISHING,
    "feedback": EXPLODING,
}
"""Words of a title, and what a reader would look into; other titles name no cause of ours."""


class Mortem(Judge):
    name = "torchmortem"
    package = "torchmortem"
    what = "`Autopsy(model, optimizer=optimizer)`, `step(loss=...)`, its report at the end"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        from torchmortem import Autopsy

        self._autopsy = Autopsy(program.model, optimizer=program.optimizer)
        self._autopsy.__enter__()

    def after_update(self, loss: float) -> None:
        self._autopsy.step(loss=loss)

    def said(self) -> list[Said]:
        self._autopsy.__exit__(None, None, None)
        report = self._autopsy.get_report()
        if report is None:
            return []
        insights = [alarm(one.title, 0, _causes(one.title)) for one in report.insights]
        found = [one for one in report.findings if int(one.severity) >= 1]
        return insights + [
            alarm(
                one.title,
                one.step_range[0],
                _causes(one.title),
                site=next(iter(one.affected_layers), None),
                severity=Severity.CRITICAL if int(one.severity) == 2 else Severity.WARNING,
            )
            for one in found
        ]

    def close(self) -> None:
        atexit.unregister(self._autopsy._atexit_handler)


def _causes(title: str) -> tuple[str, ...]:
    return next((own for words, own in READ_AS.items() if words in title.lower()), ())
