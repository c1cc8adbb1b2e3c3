"""torch-audit: validators of model, data, gradients and optimizer."""

from __future__ import annotations

from benchmarks.fault_judges.judge import DEAD, EXPLODING, STILL, Judge, alarm
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said

EVERY = 10
"""Steps between its audits."""

READ_AS = {
    "TA100": ("lr-too-high", "exp-overflow", "log-of-zero", "nonfinite-input"),
    "TA102": EXPLODING,
    "TA103": DEAD,
    "TA104": STILL,
    "TA201": ("weight-decay-misapplied",),
    "TA202": ("weight-decay-misapplied",),
    "TA301": ("data-not-normalized", "bad-batch"),
    "TA302": ("bad-batch",),
    "TA304": ("batchnorm-small-batch",),
    "TA305": ("nonfinite-input",),
    "TA403": DEAD,
    "TA105": DEAD,
    "TA500": ("params-not-in-optimizer", "detached-graph"),
}
"""Its rules by number, and what a reader would look into."""


class Audit(Judge):
    name = "torch-audit"
    package = "torch-audit"
    what = f"`autopatch(model, optimizer, every_n_steps={EVERY})`"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        from torch_audit import autopatch

        self._auditor = autopatch(
            program.model,
            optimizer=program.optimizer,
            every_n_steps=EVERY,
            reporters=[],
            run_static=True,
            run_init=True,
        )

    def said(self) -> list[Said]:
        found = self._auditor.finish(report=False).findings
        ranks = {"WARN": Severity.WARNING, "ERROR": Severity.CRITICAL, "FATAL": Severity.CRITICAL}
        listed: dict[tuple[str, str | None], Said] = {}
        for one in found:
            rank = next((own for name, own in ranks.items() if name in one.severity.name), None)
            if rank is None:
                continue
            causes = READ_AS.get(one.rule_id, ())
            told = alarm(one.rule_id, one.step or 0, causes, site=one.module_path, severity=rank)
            listed.setdefault((one.rule_id, one.module_path), told)
        return sorted(listed.values(), key=lambda one: -one.severity)

    def close(self) -> None:
        self._auditor.unpatch()
