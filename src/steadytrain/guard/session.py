"""`Guard`: attached to a loop, it makes every step a transaction."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from torch import nn

from steadytrain.core.action import Event
from steadytrain.core.errors import StoppedError, UsageError
from steadytrain.guard._course import Course
from steadytrain.guard._engine import Engine
from steadytrain.guard._opening import Storage, averages_in, check_type, open_engine, sources_of
from steadytrain.guard._parts import Parts, enabled, listed
from steadytrain.guard._rates import Rates
from steadytrain.guard.act import Committer
from steadytrain.guard.decide import Ladder
from steadytrain.guard.detect import Detector
from steadytrain.guard.detect_spike import SpikeOptions
from steadytrain.guard.evidence import write_bundle
from steadytrain.guard.policy import Policy
from steadytrain.guard.transaction import Step
from steadytrain.snapshots import RandomSources, Stream


class Guard:
    """Makes every step of a loop a transaction: it commits, or leaves no trace.

    A step whose loss, gradients, weights, moments or buffers are not finite is never taken. A bad
    batch is left out as if the loader had never given it: no weight, moment, running statistic,
    average, schedule, loss scale or random number is another than without it. Where the weights
    themselves are at fault the run goes back to a snapshot, and does other things than before
    each time, as `Policy` says; when nothing helps it stops with whole weights and evidence. A
    step without a fault is the same bits as without a guard.

    Hand it to `steadytrain.train(program, steps, guard=Guard())`, or attach it to a loop.

    Args:
        policy: how long it tries what.
        spikes: what counts as a jump above everything before it.
        dry_run: only report what would have been done.
        snapshots: states kept in host memory to go back to.
        snapshot_every: steps between them; chosen from measured times if None. On several ranks
            give it, because every rank must choose the same.
        snapshot_share: largest share of the wall time that copies may take; as much goes into
            looking at the state before it is copied.
        seal_every: steps between two looks at whether weights, buffers or moments changed at rest, by
            a fault of the memory: such a change is healed, to the bit. Never if None; a look costs
            0.6 ms per MB.
        max_batch_bytes: memory in which batches since the oldest snapshot are held, by reference,
            so that steps can be done again.

    Cost: per step one pass over the gradients, one over the weights, a copy of the buffers, and a
    reading of the device. Where a `step_fn` or a closure takes the step itself, a copy of weights
    and moments too.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> loader = [torch.ones(4, 2), torch.full((4, 2), float("nan")), torch.ones(4, 2)]
        >>> guard = Guard().attach(model, optimizer)
        >>> for batch in guard.batches(loader):
        ...     with guard.step(batch) as step:
        ...         step.backward(model(batch).square().mean())
        ...     print(step.committed)
        True
        False
        True
        >>> [event.kind for event in guard.events]
        ['skip']
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        spikes: SpikeOptions | None = None,
        dry_run: bool = False,
        snapshots: int = 3,
        snapshot_every: int | None = None,
        snapshot_share: float = 0.005,
        seal_every: int | None = None,
        max_batch_bytes: int = 1 << 29,
    ) -> None:
        check_type("policy", policy, Policy)
        check_type("spikes", spikes, SpikeOptions)
        self.events: list[Event] = []
        """What was done, oldest first; with `dry_run`, what would have been."""
        policy = policy or Policy()
        detector = Detector(spikes or SpikeOptions())
        self._course = Course(
            policy=policy, detector=detector, rates=Rates(policy), ladder=Ladder()
        )
        self._dry_run = dry_run
        self._storage = Storage(
            snapshots=snapshots,
            snapshot_every=snapshot_every,
            snapshot_share=snapshot_share,
            seal_every=seal_every,
            max_batch_bytes=max_batch_bytes,
        )
        self._engine: Engine | None = None
        self._committer: Committer | None = None
        self._tell: Callable[[Event], None] | None = None

    @property
    def num_steps(self) -> int:
        """Finished steps; fewer again after a rollback."""
        return self._course.step

    @property
    def num_skipped(self) -> int:
        """Steps that were left out."""
        return self._course.num_skipped

    @property
    def stopped(self) -> str:
        """Why the run was stopped; empty while it goes on."""
        return self._course.stopped

    def attach(
        self,
        model: nn.Module | Iterable[nn.Module],
        optimizer: Any,
        *,
        scheduler: Any = None,
        ema: Any = None,
        scaler: Any = None,
        clip: float | None = None,
        watch: Any = None,
        others: Mapping[str, Any] | None = None,
        run_dir: str | os.PathLike[str] | None = None,
    ) -> Self:
        """The guard takes the steps of a loop from now on; returns the guard.

        Args:
            model: one, or several.
            optimizer: one, or several; `guard.step(batch, optimizer=...)` says whose step it is.
            scheduler: stepped once per step of its optimizer.
            ema: averages of the weights, updated after every step: `update_parameters(model)` as
                torch's `AveragedModel`, or `update()` as others.
            scaler: a `torch.amp.GradScaler`; its own skips are no fault.
            clip: threshold of the gradient norm, or None.
            watch: clips through it, and tells it of every event.
            others: whatever else a rollback must restore: a schedule stepped per epoch, a target
                network, anything with a `state_dict`.
            run_dir: where the evidence is written when the run is stopped; the watch's if None.

        Raises:
            UsageError: a part cannot be what it was given as, or the guard is attached already.
        """
        parts = Parts(
            models=listed("model", model, "parameters"),
            optimizers=listed("optimizer", optimizer, "step"),
            schedulers=listed("scheduler", scheduler, "step"),
            averages=averages_in(ema),
            scaler=enabled(scaler),
            others=dict(others or {}),
        )
        if not parts.models or not parts.optimizers:
            msg = "Guard.attach: got no model or no optimizer, expected at least one of each"
            raise UsageError(f"{msg}. Pass them as guard.attach(model, optimizer).")
        committer = Committer(parts, clip, watch)
        directory = run_dir if run_dir is not None else getattr(watch, "run_dir", None)
        engine = self.open(
            parts,
            clip=clip,
            run_dir=None if directory is None else Path(directory),
            tell=None if watch is None else watch.add_event,
            row=None if watch is None else lambda: int(watch.step),
        )
        engine.start()
        self._committer = committer
        return self

    def open(
        self,
        parts: Parts,
        *,
        clip: float | None = None,
        run_dir: Path | None = None,
        sources: RandomSources | None = None,
        tell: Callable[[Event], None] | None = None,
        row: Callable[[], int] | None = None,
        step: int | None = None,
    ) -> Engine:
        """The transactions of a loop that steadytrain runs itself: `st.train`, integrations.

        Args:
            parts: of the loop.
            clip: the loop's own threshold of the gradient norm.
            run_dir: where the evidence is written.
            sources: the random sources a step draws from.
            tell: told of every event.
            row: the row of the history an event belongs to; the finished steps if None.
            step: finished steps; those the guard has counted if None.
        """
        if self._engine is not None:
            msg = "Guard.attach: the guard is attached already, expected a free one"
            raise UsageError(f"{msg}. Call guard.detach() first, or make another Guard().")
        course = self._course
        course.step = course.step if step is None else step
        course.stopped = ""
        self._tell = tell
        self._engine = open_engine(
            course,
            parts,
            self._storage,
            sources or sources_of(parts, None),
            clip=clip,
            dry_run=self._dry_run,
            note=self._note,
            row=row or (lambda: course.step),
            bundle=lambda content: self._write(run_dir, content),
        )
        course.rates.attach(parts.optimizers)
        return self._engine

    def detach(self) -> None:
        """The loop is its own again; what the guard has learnt stays for the next attachment."""
        self._course.rates.detach()
        self._engine = self._committer = self._tell = None

    def batches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """One pass over the loader, in which steps can be done again.

        After a rollback the batches since the snapshot come once more; what the loop counts by
        batches is higher than the steps then, by what `guard.events` says. Ends early when the
        run was stopped. Do not read ahead of the steps (a prefetcher belongs in the loader).

        Args:
            loader: any iterable of batches, also one that can be read once only.
        """
        engine = self._attached("batches")
        sources = sources_of(engine.parts, loader)
        stream = Stream(loader, sources, resumable=False, keep=True)
        engine.follow(stream, sources)
        for batch in stream.one_pass() if not self.stopped else ():
            engine.data.hand_out(batch)
            yield batch
            if self.stopped:
                return

    def step(self, batch: Any = None, *, optimizer: Any = None) -> Step:
        """The transaction of one step, to be used in a `with` statement.

        Args:
            batch: looked at only when something is not finite, to name the samples.
            optimizer: whose step it is, where the loop has several that take turns; all if None.

        Raises:
            StoppedError: the run was stopped.
            UsageError: the guard is not attached, or the optimizer is not one of its own.
        """
        engine = self._attached("step")
        if self.stopped:
            raise StoppedError(
                f"the guard has stopped the run after step {self.num_steps}: {self.stopped}. The "
                "weights are whole. Look at guard.events; guard.batches(loader) ends by itself."
            )
        assert self._committer is not None
        chosen = listed("optimizer", optimizer, "step") or list(engine.parts.optimizers)
        if any(all(one is not own for own in engine.parts.optimizers) for one in chosen):
            msg = "guard.step(optimizer): got an optimizer that was not attached"
            raise UsageError(f"{msg}. Name all of them in guard.attach(model, [...]).")
        return Step(engine, self._committer, chosen, batch)

    def state_dict(self) -> dict[str, Any]:
        """What the guard knows of the run, as numbers, strings and lists."""
        return self._course.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The guard goes on where the one that was saved stopped.

        Raises:
            UsageError: the state is not one of `state_dict`; nothing was changed.
        """
        self._course.load_state_dict(state)

    def _attached(self, method: str) -> Engine:
        if self._engine is None or (method == "step" and self._committer is None):
            msg = f"guard.{method}() was called on a guard that is not attached to a loop"
            raise UsageError(f"{msg}. Call guard.attach(model, optimizer) first.")
        return self._engine

    def _note(self, event: Event) -> None:
        self.events.append(event)
        if self._tell is not None:
            self._tell(event)

    def _write(self, run_dir: Path | None, content: Mapping[str, Any]) -> str:
        if run_dir is None:
            return ""
        events = [event.to_json() for event in self.events]
        path = write_bundle(run_dir, self.num_steps, {**content, "events": events})
        return "" if path is None else path.name
