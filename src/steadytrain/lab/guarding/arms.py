"""The ways to take a step that are compared: bare, clipped, with a scaler, guarded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from steadytrain.guard import Guard
from steadytrain.lab.guarding.workloads import Turn, Workload

CLIP: Final = 1.0
SNAPSHOT_EVERY: Final = 4
"""Steps between the guard's snapshots: at most so many are done again after a rollback."""


class Arm(Protocol):
    """What the loop asks of whoever takes its steps."""

    @property
    def has_stopped(self) -> bool:
        """Whether it gave the run up."""
        ...

    @property
    def events(self) -> tuple[str, ...]:
        """What it did, by kind."""
        ...

    def batches(self, data: list[Any]) -> Iterable[Any]:
        """The data, pass by pass as the loop should read it."""
        ...

    def step(self, turn: Turn, batch: Any, loss_of: Any) -> None:
        """One turn's step on `loss_of()`."""
        ...


class Bare:
    """`loss.backward(); optimizer.step()`, clipped if `clip` says so."""

    def __init__(self, workload: Workload, *, clip: float | None) -> None:
        self.has_stopped = False
        self.events: tuple[str, ...] = ()
        self._workload = workload
        self._clip = clip

    def batches(self, data: list[Any]) -> Iterable[Any]:
        return data

    def step(self, turn: Turn, batch: Any, loss_of: Any) -> None:  # noqa: ARG002
        turn.optimizer.zero_grad()
        loss_of().backward()
        self._limit(turn)
        turn.optimizer.step()
        _advance(self._workload, turn)

    def _limit(self, turn: Turn) -> None:
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(_parameters(turn), self._clip)


class Scaled(Bare):
    """A gradient scaler in front of the clip: it leaves out steps whose gradients overflow."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload, clip=CLIP)
        self._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=200)

    def step(self, turn: Turn, batch: Any, loss_of: Any) -> None:  # noqa: ARG002
        turn.optimizer.zero_grad()
        loss: Tensor = self._scaler.scale(loss_of())
        loss.backward()
        self._scaler.unscale_(turn.optimizer)
        self._limit(turn)
        before = self._scaler.get_scale()
        self._scaler.step(turn.optimizer)
        self._scaler.update()
        if self._scaler.get_scale() >= before:
            _advance(self._workload, turn)


class Guarded:
    """Every step is a transaction of the guard, with a seal between them or without."""

    def __init__(self, workload: Workload, *, seal_every: int | None = None) -> None:
        self._guard = Guard(snapshot_every=SNAPSHOT_EVERY, seal_every=seal_every).attach(
            workload.model,
            workload.optimizers,
            scheduler=workload.schedulers,
            ema=workload.average,
            clip=CLIP,
        )

    @property
    def has_stopped(self) -> bool:
        return bool(self._guard.stopped)

    @property
    def events(self) -> tuple[str, ...]:
        return tuple(event.kind for event in self._guard.events)

    def batches(self, data: list[Any]) -> Iterator[Any]:
        return self._guard.batches(data)

    def step(self, turn: Turn, batch: Any, loss_of: Any) -> None:
        with self._guard.step(batch, optimizer=turn.optimizer) as step:
            step.backward(loss_of())


def _parameters(turn: Turn) -> list[Tensor]:
    return [p for group in turn.optimizer.param_groups for p in group["params"]]


def _advance(workload: Workload, turn: Turn) -> None:
    """The turn's schedule and the average, as after every step that was taken."""
    for scheduler in workload.schedulers:
        if scheduler.optimizer is turn.optimizer:
            scheduler.step()
    if workload.average is not None:
        workload.average.update_parameters(workload.model)


GUARD: Final = "the guard"
SEALED: Final = "the sealed guard"
GUARDED: Final = (GUARD, SEALED)
ARMS: Final = {
    "bare": lambda workload: Bare(workload, clip=None),
    "clip_grad_norm_": lambda workload: Bare(workload, clip=CLIP),
    "GradScaler + clip": Scaled,
    GUARD: Guarded,
    SEALED: lambda workload: Guarded(workload, seal_every=1),
}
