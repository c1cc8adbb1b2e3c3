"""StabilityGuard: an optimizer wrapper that skips steps."""

from __future__ import annotations

from benchmarks.fault_judges.judge import Judge, alarm
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said

SKIP = ("bad-batch", "lr-too-high", "missing-grad-clip", "nonfinite-input")


class StabilityGuardJudge(Judge):
    name = "stabilityguard"
    package = "stabilityguard"
    what = "`GuardedOptimizer(optimizer, model)`, defaults; a step it skips is an alarm"

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        from stabilityguard import GuardedOptimizer

        self._own = program.optimizer
        self._guarded = GuardedOptimizer(program.optimizer, program.model, log_every=10**9)
        self._skips = 0
        self._said: list[Said] = []
        program.optimizer = _Stepping(self._guarded, self._own)

    def after_update(self, loss: float) -> None:
        if self._guarded.total_skips > self._skips:
            self._skips = self._guarded.total_skips
            self._said.append(alarm("skip", self.step, SKIP, severity=Severity.WARNING))

    def said(self) -> list[Said]:
        return self._said

    def close(self) -> None:
        self._guarded.close()


class _Stepping:
    """The user's optimizer to everybody, but its step is the guarded one's.

    A scheduler, a scaler and a check for the optimizer's class refuse the wrapper itself.
    """

    def __init__(self, guarded: object, own: object) -> None:
        self.__dict__.update(_guarded=guarded, _own=own)

    def __getattr__(self, name: str) -> object:
        return getattr(self._own, name)

    def step(self, *args: object, **kwargs: object) -> object:
        return self._guarded.step(*args, **kwargs)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self._guarded.zero_grad(set_to_none)
