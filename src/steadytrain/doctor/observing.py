"""One run of a copy, watched, and all that is kept of it."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.program import Program
from steadytrain.doctor.loss_calls import LossCalls
from steadytrain.doctor.sandbox import sandbox
from steadytrain.doctor.scene import LossCall, models_of
from steadytrain.doctor.yardstick import Yardstick
from steadytrain.snapshots.rng import RandomSources
from steadytrain.snapshots.stream import Stream
from steadytrain.training.loop import device_of
from steadytrain.training.session import open_watch
from steadytrain.training.stepping import make_step, provide_scaler

LOST_AFTER: Final = 10
"""Steps in a row without a finite loss after which a run has nothing more to tell."""

LOOKS: Final = 10
"""How often a run that ends at its first alarm is looked at; the looks are at fixed steps."""

OnStep = Callable[[int], bool]
"""Called with the steps that were just run; False ends the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is kept of a run; plain data and arrays, which go to another process and back."""

    asked: int
    """Steps that were asked for."""
    steps: int
    """Steps that were finished."""
    losses: tuple[float, ...]
    """As the step returned them, NaN included."""
    history: History = field(repr=False)
    findings: tuple[Finding, ...] = ()
    error: str = ""
    """What the program raised, empty if nothing."""
    seconds: float = 0.0
    held: tuple[float, ...] = ()
    """The original loss on held microbatches after the run."""
    metric: float = math.nan
    digest: str = ""
    """Of every parameter and buffer afterwards: equal only where they are the same bits."""
    loss_calls: tuple[LossCall, ...] = field(default=(), repr=False)
    stopped: bool = False
    """Whether somebody stopped it before its end."""
    cut: bool = False
    """Whether it was ended because a rule had spoken at warning or above."""


def observe(
    program: Program,
    steps: int,
    seed: int,
    yardstick: Yardstick | None = None,
    on_step: OnStep = lambda _: True,
    *,
    ends_at_alarm: bool = False,
) -> Observation:
    """`program` has run `steps` further steps under a watch; whatever it raised is data.

    Args:
        program: a copy that nobody else needs; trained in place.
        steps: optimizer steps.
        seed: of every random generator.
        yardstick: measures the trained copy afterwards.
        on_step: called after each step; False ends the run.
        ends_at_alarm: whether nothing more is asked of it than whether an alarm comes.
    """
    began = time.monotonic()
    with sandbox(program, seed):
        seen = _Run(program, steps, ends_at_alarm=ends_at_alarm)
        seen.run(on_step)
        judge = None if seen.cut else yardstick
        held, metric = judge.measure(program, seed) if judge else ((), math.nan)
    return Observation(
        asked=steps,
        steps=len(seen.losses),
        losses=tuple(seen.losses),
        history=seen.history,
        findings=tuple(seen.findings),
        error=seen.error,
        seconds=time.monotonic() - began,
        held=held,
        metric=metric,
        digest=digest_of(program),
        loss_calls=tuple(seen.loss_calls),
        stopped=seen.stopped,
        cut=seen.cut,
    )


class _Run:
    """The loop of a trial: as `st.train` runs it, but an error ends it quietly."""

    def __init__(self, program: Program, steps: int, *, ends_at_alarm: bool) -> None:
        self.losses: list[float] = []
        self.loss_calls: list[LossCall] = []
        self.findings: list[Finding] = []
        self.history = History()
        self.error = ""
        self.stopped = self.cut = False
        self._ends_at_alarm = ends_at_alarm
        self._program = program
        self._steps = steps

    def run(self, on_step: OnStep) -> None:
        program = self._program
        try:
            device = device_of(program)
            provide_scaler(program, device)
            watch = open_watch(program, None, 0, rules=None, every=self._every, name=None)
        except Exception as error:  # a change may have made what cannot be watched
            self.error = described(error)
            return
        try:
            sources = RandomSources.of(program.model, program.batches)
            stream = Stream(program.batches, sources, resumable=False)
            do_step = make_step(program, watch, device)
            while len(self.losses) < self._steps and not self.stopped and not self._is_lost():
                self._step(do_step, stream, watch)
                self.stopped = not on_step(1)
                if self._is_alarmed(watch):
                    self.cut = True
                    break
        except (Exception, SystemExit) as error:  # a step that leaves the process ends its run
            self.error = described(error)
        finally:
            watch.close()
        self.history, self.findings = watch.history, watch.findings()

    def _step(self, do_step: Any, stream: Stream, watch: Any) -> None:
        if self.losses:
            loss = do_step(stream)
        else:
            with LossCalls() as recorded:
                loss = do_step(stream)
            self.loss_calls = recorded.calls
        self._program.step += 1
        watch.log(loss=loss)
        self.losses.append(float(loss))

    def _is_alarmed(self, watch: Any) -> bool:
        """Asked at fixed steps only: where a flush falls depends on the time."""
        done = len(self.losses)
        if not self._ends_at_alarm or done == self._steps or done % max(3, self._steps // LOOKS):
            return False
        return any(one.severity >= Severity.WARNING for one in watch.findings())

    def _is_lost(self) -> bool:
        last = self.losses[-LOST_AFTER:]
        return len(last) == LOST_AFTER and not any(map(math.isfinite, last))

    @property
    def _every(self) -> int:
        """Activations are sampled often enough for a short run to say something of them."""
        return max(1, min(10, self._steps // 20))


def described(error: BaseException) -> str:
    """The kind of the error and its first line."""
    line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def digest_of(program: Program) -> str:
    """A hash of every parameter and buffer of the program's modules."""
    found = hashlib.sha256()
    for model in models_of(program):
        for name, tensor in sorted(model.state_dict().items()):
            if isinstance(tensor, torch.Tensor):
                found.update(name.encode())
                flat = tensor.detach().cpu().contiguous().reshape(-1)
                found.update(flat.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
