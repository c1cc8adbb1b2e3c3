"""The ways back: to a snapshot, and to the end of a run that nothing helps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from steadytrain.core.action import Event, EventKind
from steadytrain.core.finding import Evidence
from steadytrain.guard._course import Course, Outcome
from steadytrain.guard._data import Data, Place
from steadytrain.guard._judging import Judge
from steadytrain.guard._parts import Parts
from steadytrain.guard.act import go_back
from steadytrain.guard.decide import Decision
from steadytrain.guard.detect import Verdict
from steadytrain.snapshots import RandomSources, Snapshot, SnapshotRing

_LOG: Final = logging.getLogger("steadytrain")


class Recovery:
    """Takes the snapshots of one attachment, and goes back to them.

    Args:
        course: what is known of the run.
        parts: of the loop.
        sources: the random sources a step draws from.
        data: the batches that can be gone back in.
        judge: says whether a state is whole.
        ring: snapshots of everything in `named()`.
        tell: told of every event.
        row: the row of the history that an event belongs to.
        bundle: writes the evidence of a stop; returns the file's name, or nothing.
    """

    def __init__(
        self,
        course: Course,
        parts: Parts,
        sources: RandomSources,
        data: Data,
        judge: Judge,
        ring: SnapshotRing,
        tell: Callable[[Event], None],
        row: Callable[[], int],
        bundle: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self.sources = sources
        self._course = course
        self._parts = parts
        self._data = data
        self._judge = judge
        self._ring = ring
        self._tell = tell
        self._row = row
        self._bundle = bundle
        self._anchor: int | None = None

    @property
    def can_roll_back(self) -> bool:
        """Whether there is a snapshot."""
        return self._ring.newest() is not None

    def named(self) -> dict[str, Any]:
        """Everything a rollback restores, by name."""
        return {**self._parts.named(), "detector": self._course.detector, "rng": self.sources}

    def note(
        self,
        kind: EventKind,
        reason: str,
        evidence: Mapping[str, Evidence],
        row: int | None = None,
    ) -> None:
        """The event is part of the run, at `row` or at the row that is next."""
        at = self._row() if row is None else row
        self._tell(Event(step=at, kind=kind, reason=reason, evidence=evidence))

    def is_due(self) -> bool:
        """Whether a snapshot is due after the step that is under way."""
        return self._ring.is_due(self._course.step + 1)

    def begin_pass(self, sources: RandomSources) -> None:
        """Steps before this place are not done again: what the loop did in between is not known."""
        self.sources = sources
        self._ring.parts = self.named()
        if self._judge.at_rest() is None:
            self._ring.clear()
        self.snapshot()

    def snapshot(self) -> Verdict | None:
        """A snapshot was taken; or the verdict on a state that must not be kept."""
        if (damage := self._judge.at_rest()) is not None:
            return damage
        try:
            self._ring.take(self._course.step, data=self._data.place)
        except Exception as error:  # training is worth more than a way back
            _LOG.warning("no snapshot of step %d: %s", self._course.step, error)
        return None

    def release_batches(self) -> None:
        """Batches that no snapshot goes back to are held no longer."""
        steps = self._ring.steps
        oldest = self._ring.newest(at_most=steps[0]) if steps else None
        place: Place | None = None if oldest is None else oldest.data
        self._data.forget(place)

    def calm(self) -> None:
        """The next fault is a new one."""
        self._anchor = None

    def roll_back(self, decision: Decision, verdict: Verdict) -> Outcome:
        """Everything is as in a snapshot, and the data where the decision wants it."""
        snapshot = self._target(decision)
        if snapshot is None:
            return self.stop("there is no snapshot to go back to", verdict)
        back_from, row = self._course.step, self._row()
        orders = [generator.get_state() for generator in self.sources.generators]
        refusal = go_back(snapshot, self.named(), forget_moments=decision.reset_moments)
        if refusal is not None:
            return self._refused(refusal, snapshot, verdict)
        self._anchor = snapshot.step if self._anchor is None else min(self._anchor, snapshot.step)
        self._ring.drop_after(snapshot.step)
        self._parts.clear_gradients()
        self._course.step = snapshot.step
        stepped_around = self._data.since(snapshot.data)
        if not decision.step_around and self._data.rewind(snapshot.data):
            stepped_around = 0
        else:  # the loader goes on where it is, and so do the generators of its order
            for generator, order in zip(self.sources.generators, orders, strict=True):
                generator.set_state(order)
        reason = f"{verdict.reason}: back from step {back_from} to {snapshot.step}"
        evidence: dict[str, Evidence] = {
            **verdict.evidence,
            "from_step": back_from,
            "to_step": snapshot.step,
            "batches_stepped_around": stepped_around,
        }
        self.note("rollback", f"{reason} ({decision.why})", evidence, row)
        if decision.cut_rate:
            self._course.rates.cut()
            scale = self._course.policy.rate_factor**self._course.rates.num_cuts
            said = f"every learning rate is {scale:g} times the schedule's, ramped up"
            self.note("lr-cut", said, {"factor": scale}, row)
        if decision.reset_moments:
            self.note("reset-moments", "the optimizers begin with fresh moments", {}, row)
        return Outcome(committed=False, finished=False, reason=reason)

    def _refused(self, refusal: str, snapshot: Snapshot, verdict: Verdict) -> Outcome:
        """The snapshot is of another program: none of them can be used any more."""
        self._ring.clear()
        said = f"going back to step {snapshot.step} was refused: {refusal}"
        if self._judge.at_rest() is not None:
            return self.stop(said, verdict)
        self.note("skip", f"{verdict.reason}: the step was left out; {said}", verdict.evidence)
        self.snapshot()
        return Outcome(committed=False, finished=False, reason=said)

    def stop(self, why: str, verdict: Verdict) -> Outcome:
        """The run ends with weights that are whole, and with the evidence."""
        course = self._course
        course.stopped = f"{verdict.reason}: {why}"
        damage, newest = self._judge.at_rest(), self._ring.newest()
        restored = False
        if damage is not None and newest is not None:
            restored = go_back(newest, self.named(), forget_moments=False) is None
            course.step = newest.step if restored else course.step
        self._parts.clear_gradients()
        evidence: dict[str, Evidence] = {**verdict.evidence, "weights_restored": restored}
        path = self._bundle(
            {
                "reason": course.stopped,
                "verdict": {"kind": verdict.kind, "evidence": dict(verdict.evidence)},
                "step": course.step,
                "ladder": course.ladder.to_json(),
                "policy": asdict(course.policy),
                "usual": course.detector.state_dict(),
                "snapshots": self._ring.steps,
            }
        )
        self.note("stop", course.stopped, {**evidence, "bundle": path} if path else evidence)
        return Outcome(committed=False, finished=False, reason=course.stopped)

    def _target(self, decision: Decision) -> Snapshot | None:
        """The snapshot to go back to: never a later one than the fault was gone back to before."""
        if decision.oldest and (steps := self._ring.steps):
            return self._ring.newest(at_most=steps[0])
        earlier = self._ring.newest(at_most=self._anchor) if decision.step_around else None
        return earlier or self._ring.newest()
