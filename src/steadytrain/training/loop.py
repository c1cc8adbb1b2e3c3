"""The training loop: step, log, validate, save, until the steps are done or somebody stops it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from steadytrain.core.action import Event, EventKind
from steadytrain.core.errors import ProgramError
from steadytrain.core.finding import Evidence
from steadytrain.core.program import Program
from steadytrain.guard import Guard
from steadytrain.snapshots.checkpoints import Checkpoints
from steadytrain.snapshots.memory import HostMemory
from steadytrain.snapshots.nodes import Items
from steadytrain.snapshots.rng import RandomSources
from steadytrain.snapshots.settings import without_settings as pruned
from steadytrain.snapshots.signals import StopSignals
from steadytrain.snapshots.snapshot import capture
from steadytrain.snapshots.stream import Stream
from steadytrain.training.guarded import GuardedStep, RunOfGuard, open_engine
from steadytrain.training.progress import Display
from steadytrain.training.record import BareRecord, Record
from steadytrain.training.repetition import Repetition
from steadytrain.training.snapshot import saved_parts
from steadytrain.training.stepping import make_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When the loop does what, in steps; None never."""

    steps: int
    validate_every: int | None
    checkpoint_every: int | None


class Loop:
    """Trains a program and tells the record what happened.

    Args:
        program: changed in place.
        record: the watch, or a bare record.
        rhythm: the total of finished steps wanted, and the periods.
        first_row: the row of the history that the next step writes.
        run_dir: where to save checkpoints, if anywhere.
        microbatches: the data, standing where the program stands.
        sources: the random sources to save, and to protect from the validation.
        display: what a person sees.
        guard: judges every step, if there is one.
    """

    def __init__(
        self,
        program: Program,
        record: Record,
        rhythm: Rhythm,
        first_row: int,
        run_dir: Path | None,
        microbatches: Stream,
        sources: RandomSources,
        display: Display,
        guard: Guard | None = None,
    ) -> None:
        self.events: list[Event] = []
        self.metrics: dict[str, float] = {}
        self.stop = StopSignals()
        """Who asked for the end of the run, if anybody did."""
        self.before: Items | None = None
        """The program's tree when the run began: what is the same later is a setting."""
        self._program = program
        self._record = record
        self._rhythm = rhythm
        self._first_row = first_row
        self._run_dir = run_dir
        self._checkpoints = None if run_dir is None else Checkpoints(run_dir)
        self._microbatches = microbatches
        self._sources = sources
        self._display = display
        self._guard = guard
        self._loss: torch.Tensor | None = None
        self._validated_at = self._saved_at = program.step
        self._can_save = True
        self._memory = HostMemory()
        self._repetition: Repetition | None = None
        self._repeated_at = 0

    def expect(self, repetition: Repetition | None) -> None:
        """The coming steps were done before; whether they are the same is said when they are done."""
        self._repetition = repetition
        self._repeated_at = self._program.step + (repetition.num_rows if repetition else 0)

    def run(self) -> bool:
        """The program has finished its steps, or was stopped; returns whether it was stopped.

        What the user's code raises goes on upwards, after an event that says so.
        """
        first, began = self._program.step, time.monotonic()
        with self.stop:
            try:
                interrupted = self._run()
            except BaseException as error:
                with suppress(Exception):  # a broken device must not hide what broke it
                    self._note("stop", _named(error))
                if not self._is_a_stop(error):
                    raise
                interrupted = True
        self._measure(first, time.monotonic() - began)
        self._display.update(self._program, self._record.history, last=True)
        return interrupted

    def add_event(
        self, kind: EventKind, reason: str, evidence: dict[str, Evidence] | None = None
    ) -> None:
        """The event is part of the run, and said to whoever is looking."""
        self._note(kind, reason, evidence)
        self._display.say(reason)

    def _run(self) -> bool:
        program, rhythm = self._program, self._rhythm
        with self._steps() as do_step:
            while program.step < rhythm.steps and not (self.stop.requested or self._was_stopped):
                finished = program.step
                loss = do_step(self._microbatches)
                if loss is None:  # the guard left the step out, or went back
                    self._go_back(finished)
                    continue
                self._loss = loss
                program.step = finished + 1
                self._record.log(loss=loss)
                if self._repetition and program.step >= self._repeated_at:
                    self._say_whether_repeated()
                if _is_due(program.step, rhythm.validate_every):
                    self._validate()
                if _is_due(program.step, rhythm.checkpoint_every):
                    self._save()
                self._display.update(program, self._record.history)
        self._say_whether_repeated()
        stopped = program.step < rhythm.steps
        if stopped and not self._was_stopped:
            self.add_event("stop", f"stopped by {self.stop.by} after {program.step} steps")
        elif self._validated_at < program.step:
            self._validate()
        wanted = rhythm.checkpoint_every is not None or self.stop.requested
        if wanted and self._saved_at < program.step:
            self._save()
        return stopped

    @contextmanager
    def _steps(self) -> Iterator[Callable[[Stream], torch.Tensor | None]]:
        """What takes a step: the program's own, or one that the guard judges."""
        program, device = self._program, device_of(self._program)
        if self._guard is None:
            yield make_step(program, self._record, device)
            return
        run = RunOfGuard(run_dir=self._run_dir, tell=self._tell, row=self._next_row)
        engine = open_engine(self._guard, program, self._microbatches, self._sources, run)
        step = GuardedStep(program, self._record, device, engine)
        try:
            yield step
        finally:
            step.close()
            self._guard.detach()

    @property
    def _was_stopped(self) -> bool:
        return self._guard is not None and bool(self._guard.stopped)

    def _go_back(self, finished: int) -> None:
        """What counts steps goes on from the program's, which are fewer after a rollback."""
        step = self._program.step
        self._validated_at = min(self._validated_at, step)
        self._saved_at = min(self._saved_at, step)
        if isinstance(self._record, BareRecord):
            self._record.go_back(finished - step)

    def _is_a_stop(self, error: BaseException) -> bool:
        """Whether somebody asked for the end, once."""
        if not self.stop.requested:
            return isinstance(error, KeyboardInterrupt)
        # the terminal sends Ctrl-C to a DataLoader's workers too; waiting for them then fails
        return isinstance(error, RuntimeError) and self._microbatches.is_reading

    def _say_whether_repeated(self) -> None:
        """A resumed run that is another than the one that was logged is an event and a warning."""
        if self._repetition is None:
            return
        self._record.flush()
        num_same, difference = self._repetition.compare(self._record.history)
        self._repetition = None
        self.metrics["repeated_steps"] = float(num_same)
        if difference:
            self.add_event("resume", difference)
            warnings.warn(difference, RuntimeWarning, stacklevel=2)

    def _validate(self) -> None:
        """The metric is logged; the random sources are put back, so looking changes nothing."""
        program = self._program
        if program.metric_fn is None:
            return
        state = self._sources.capture()
        value = metric(program.metric_fn, program)
        self._sources.restore(state)
        self._validated_at = program.step
        self.metrics["validation_metric"] = value
        self._record.log(validation_metric=value)

    def _save(self) -> None:
        """The step is on disk to be resumed; a disk that refuses costs a warning, not the run."""
        if self._checkpoints is None:
            return
        others = {} if self._guard is None else {"guard": self._guard}
        parts = saved_parts(self._program, self._microbatches, self._sources, **others)
        snapshot = capture(parts, step=self._program.step, memory=self._memory)
        tree = snapshot.parts if self.before is None else pruned(snapshot.parts, self.before)
        try:
            self._checkpoints.save(replace(snapshot, parts=tree), {"row": self._next_row()})
            self._saved_at = self._program.step
            self._can_save = True
        except (OSError, ProgramError) as error:
            if self._can_save:
                warnings.warn(_not_saved(self._program.step, error), RuntimeWarning, stacklevel=2)
            self._can_save = False
        finally:
            self._memory.give_back(snapshot.tensors)

    def _note(
        self, kind: EventKind, reason: str, evidence: dict[str, Evidence] | None = None
    ) -> None:
        event = Event(step=self._next_row(), kind=kind, reason=reason, evidence=evidence or {})
        self._keep(event)

    def _tell(self, event: Event) -> None:
        """What the guard did is part of the run, and said to whoever is looking."""
        self._keep(event)
        self._display.say(event.reason)

    def _keep(self, event: Event) -> None:
        self.events.append(event)
        self._record.add_event(event)

    def _next_row(self) -> int:
        """The first row that is not written yet; a `step_fn` may write several in one step."""
        self._record.flush()
        return max(self._first_row, self._record.history.step + 1)

    def _measure(self, first: int, seconds: float) -> None:
        if self._loss is not None:
            self.metrics["loss"] = float(self._loss)
        self.metrics["steps"] = float(self._program.step)
        self.metrics["seconds"] = seconds
        self.metrics["steps_per_second"] = (self._program.step - first) / max(seconds, 1e-9)


def metric(metric_fn: Callable[..., object], program: Program) -> float:
    """What the user's metric says, as a number.

    Raises:
        ProgramError: it is none.
    """
    value = metric_fn(program.model, program.validation)
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    try:
        return float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        raise ProgramError(
            f"Program.metric_fn returned a {type(value).__name__}, expected one number, higher "
            "is better: return the accuracy, or the loss with its sign turned."
        ) from None


def device_of(program: Program) -> torch.device:
    """Where the model's first parameter is: the device to autocast on."""
    return next(iter(program.model.parameters())).device


def _named(error: BaseException) -> str:
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _is_due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _not_saved(step: int, error: Exception) -> str:
    return (
        f"the checkpoint of step {step} could not be written ({error}); the earlier ones are as "
        "they were. Training goes on, and the next one is tried at its time. Free some space or "
        "check the directory."
    )
