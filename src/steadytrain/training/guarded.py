"""One step of a program as a transaction of the guard: it commits, or leaves no trace.

canonical     shadow -> forward -> backward -> judge -> unscale, clip, step, schedule | nothing left
a step_fn     a copy of everything -> the user's whole step -> judge -> kept | put back

The data is read before the shadow is taken: what reading draws from the random sources is not
drawn again when the step is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from steadytrain.core.action import Event
from steadytrain.core.program import Program
from steadytrain.guard import Guard
from steadytrain.guard._engine import Engine
from steadytrain.guard._judging import Attempt
from steadytrain.guard._measure import gradient_norm
from steadytrain.guard._parts import Parts, with_gradients
from steadytrain.snapshots.rng import RandomSources
from steadytrain.snapshots.snapshot import parts_of
from steadytrain.snapshots.stream import Stream
from steadytrain.training.record import Record
from steadytrain.training.stepping import CanonicalStep, OwnStep


class GuardedStep:
    """The steps of a program, each of which is judged.

    Args:
        program: changed in place; its finished steps go back with a rollback.
        record: clips, so that norms are measured once.
        device: where the model is.
        engine: of the guard.
    """

    def __init__(
        self, program: Program, record: Record, device: torch.device, engine: Engine
    ) -> None:
        self._program = program
        self._engine = engine
        self._norms: list[torch.Tensor] = []
        self._handles: list[Any] = []
        self._canonical: CanonicalStep | None = None
        if program.step_fn is None:
            self._canonical = CanonicalStep(program, record, device)
        else:
            self._own = OwnStep(program, record)
            self._measure_every_step()

    def __call__(self, microbatches: Stream) -> torch.Tensor | None:
        """The loss of a step that was taken; None for one that was left out."""
        seen = _Seen(microbatches, self._engine)
        self._engine.begin(full=self._canonical is None)
        try:
            attempt = self._attempt(seen)
        except BaseException:
            self._engine.abandon()
            raise
        attempt.batches = seen.batches
        outcome = self._engine.end(attempt, self._commit)
        if not outcome.finished:
            self._program.step = self._engine.course.step
            return None
        loss = attempt.loss
        return loss if isinstance(loss, torch.Tensor) else torch.tensor(loss)

    def close(self) -> None:
        """No hook is left."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _attempt(self, microbatches: Any) -> Attempt:
        if self._canonical is not None:
            loss = self._canonical.backward(microbatches)
            return Attempt(optimizers=[self._program.optimizer], loss=loss)
        self._norms = []
        loss = self._own(microbatches)
        optimizers = self._engine.parts.optimizers
        return Attempt(optimizers=optimizers, loss=loss, norms=self._norms, is_own=True)

    def _commit(self) -> bool:
        return self._canonical is None or self._canonical.commit()

    def _measure_every_step(self) -> None:
        for optimizer in self._engine.parts.optimizers:
            register = getattr(optimizer, "register_step_pre_hook", None)
            if callable(register):
                self._handles.append(register(self._measure))

    def _measure(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        if getattr(optimizer, "grad_scale", None) is None:  # else they are scaled still
            grads = [p.grad for p in with_gradients([optimizer])]
            self._norms.append(gradient_norm([grad for grad in grads if grad is not None]))


class _Seen:
    """The microbatches of one step; the first was read before, the others are kept in mind."""

    def __init__(self, stream: Stream, engine: Engine) -> None:
        self._stream = stream
        self._engine = engine
        self.batches = [self._read()]
        self._all = itertools.chain(list(self.batches), self._further())

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._all)

    def _further(self) -> Iterator[Any]:
        while True:
            batch = self._read()
            self.batches.append(batch)
            yield batch

    def _read(self) -> Any:
        batch = next(self._stream)
        self._engine.data.hand_out(batch)
        return batch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOfGuard:
    """Where the guard leaves what it has to say."""

    run_dir: Path | None
    tell: Callable[[Event], None]
    row: Callable[[], int]
    """The row of the history an event belongs to."""


def open_engine(
    guard: Guard, program: Program, stream: Stream, sources: RandomSources, run: RunOfGuard
) -> Engine:
    """The guard's transactions of a program, with everything in `extra` restored by a rollback.

    Args:
        guard: to attach.
        program: whose steps are guarded.
        stream: its data, which holds what it has handed out.
        sources: the random sources a step draws from.
        run: told of every event.
    """
    extra = list(program.extra.values())
    others = [one for one in extra if isinstance(one, torch.optim.Optimizer)]
    parts = Parts(
        models=[program.model, *(one for one in extra if isinstance(one, torch.nn.Module))],
        optimizers=[program.optimizer, *(one for one in others if one is not program.optimizer)],
        schedulers=[] if program.scheduler is None else [program.scheduler],
        scaler=program.scaler,
        whole=parts_of(program),
    )
    engine = guard.open(
        parts,
        clip=program.clip if program.step_fn is None else None,
        run_dir=run.run_dir,
        sources=sources,
        tell=run.tell,
        row=run.row,
        step=program.step,
    )
    engine.follow(stream, sources)
    return engine
