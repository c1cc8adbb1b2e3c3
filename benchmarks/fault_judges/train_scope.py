"""trainscope: change points of loss and gradient norm."""

from __future__ import annotations

import tempfile

from benchmarks.fault_judges.judge import Judge, alarm
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said

SPIKE = ("bad-batch", "lr-too-high", "missing-grad-clip")


class TrainScopeJudge(Judge):
    name = "trainscope"
    package = "trainscope"
    what = "`TrainScope(model, optimizer).attach()`, `step(loss)` before the optimizer's, defaults"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        from trainscope import TrainScope, TrainScopeConfig

        self._folder = tempfile.TemporaryDirectory()
        config = TrainScopeConfig(run_dir=self._folder.name, run_name="run")
        self._scope = TrainScope(program.model, program.optimizer, config).attach()
        self._said: list[Said] = []

    def before_update(self, loss: float) -> None:
        if self._scope.step(loss) is not None:
            self._said.append(alarm("spike", self.step, SPIKE))

    def said(self) -> list[Said]:
        return self._said

    def close(self) -> None:
        self._scope.detach()
        self._folder.cleanup()
