"""neural-observatory: analyses of recorded activations, gradients and parameters."""

from __future__ import annotations

from benchmarks.fault_judges.judge import DEAD, EXPLODING, STILL, VANISHING, Judge, alarm
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said


class ObservatoryJudge(Judge):
    name = "neural-observatory"
    package = "neural-observatory"
    what = "`Observatory(model).watch()`, `step()` before every forward, its report at the end"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        from neural_observatory import Observatory

        self._observatory = Observatory(program.model)
        self._observatory.watch()
        self._observatory.step(step=0)

    def after_update(self, loss: float) -> None:
        self._observatory.step(step=self.step + 1)

    def said(self) -> list[Said]:
        self._observatory.stop()
        told: list[Said] = []
        for one in self._observatory.report().results:
            if one.status.value not in ("warning", "critical"):
                continue
            is_critical = one.status.value == "critical"
            severity = Severity.CRITICAL if is_critical else Severity.WARNING
            causes = _causes(f"{one.analyzer_name} {' '.join(one.warnings)}".lower())
            told.append(
                alarm(one.analyzer_name, one.step, causes, site=one.layer_name, severity=severity)
            )
        return sorted(told, key=lambda one: -one.severity)


def _causes(text: str) -> tuple[str, ...]:
    words = {
        "vanish": VANISHING,
        "explod": EXPLODING,
        "dead": DEAD,
        "nan": ("nonfinite-input", "exp-overflow", "log-of-zero", "lr-too-high"),
        "inf": ("exp-overflow", "lr-too-high"),
        "frozen": STILL,
        "spike": ("bad-batch", "lr-too-high"),
        "drift": ("lr-too-high",),
    }
    return next((own for word, own in words.items() if word in text), ())
