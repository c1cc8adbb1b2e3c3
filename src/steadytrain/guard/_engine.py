"""One step after the other: judged, decided upon, taken or left without a trace.

    begin      the shadow is taken                          end      measure -> detect -> decide
    (the loop's forward and backward pass)                           -> commit, clip, skip, go back, stop

Everything between the user's code and the weights passes here; a part of this that breaks switches
the guard off and lets the step be taken as it would have been without one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from steadytrain.core.action import EventKind
from steadytrain.guard._course import Course, Outcome
from steadytrain.guard._data import Data
from steadytrain.guard._judging import Attempt, Judge, Judgement
from steadytrain.guard._kept import Kept
from steadytrain.guard._parts import Parts, with_gradients
from steadytrain.guard._recovery import Recovery
from steadytrain.guard._sealing import Resting
from steadytrain.guard.act import limit_gradients
from steadytrain.guard.decide import Decision, Situation, decide
from steadytrain.guard.detect import Reading, Verdict
from steadytrain.snapshots import RandomSources, Stream

_LOG: Final = logging.getLogger("steadytrain")


class Engine:
    """Runs the transactions of one attachment.

    Args:
        course: what is known of the run.
        parts: of the loop.
        data: the batches that can be gone back in.
        judge: measures and judges.
        recovery: snapshots, and the ways back.
        resting: looks at what lies still between two steps.
        dry_run: only says what it would have done.
    """

    def __init__(
        self,
        course: Course,
        parts: Parts,
        data: Data,
        judge: Judge,
        recovery: Recovery,
        resting: Resting,
        *,
        dry_run: bool,
    ) -> None:
        self.course = course
        self.parts = parts
        self.data = data
        self._judge = judge
        self._recovery = recovery
        self._resting = resting
        self._flips: list[str] = []
        self._dry_run = dry_run
        self._is_off = False
        self._kept = Kept(parts, recovery.sources)
        self._said_stop = False

    def start(self) -> None:
        """The state as it is now can be gone back to, if it is whole."""
        self._recovery.snapshot()

    def follow(self, stream: Stream, sources: RandomSources) -> None:
        """The batches come from `stream` from now on, and a new pass begins here."""
        self.data.follow(stream)
        if not self._is_off:
            self._kept = Kept(self.parts, sources)
            self._recovery.begin_pass(sources)

    # around the user's code

    def begin(self, *, full: bool = False) -> None:
        """What the step may change is kept; with `full` the weights and moments too."""
        if self._is_off:
            return
        try:
            self._judge.weights.begin()
            self._flips = self._resting.look()
            self._kept.begin()
            if full:
                self.keep_everything()
            else:
                self._kept.keep_what_a_pass_changes()
        except Exception as error:  # the boundary: a guard that breaks must not end a run
            self._switch_off(error)

    def keep_everything(self) -> None:
        """Weights and moments are kept too: something will step before the step is judged."""
        self._kept.keep_everything(self._recovery.named())

    def abandon(self) -> None:
        """Everything is as it was at `begin`."""
        if self._is_off:
            return
        self._kept.put_back(with_gradients=True)
        self._kept.release()
        self.data.stop_showing(self._recovery.sources)
        self._seal()

    def end(self, attempt: Attempt, commit: Callable[[], bool]) -> Outcome:
        """The step was taken, or it has left no trace.

        Args:
            attempt: whose forward and backward passes are done.
            commit: takes the step; returns whether the weights moved.
        """
        if self._is_off:
            return self._unguarded(commit)
        if self.data.is_spent:
            return self._let_go()
        try:
            undo = None if self._dry_run else self._undo
            attempt.flips = self._flips
            found = self._judge.judge(
                attempt, due=self._recovery.is_due(), control=self.data.control, undo=undo
            )
            decision = self._decide(found.verdict, attempt.key, found.num_strangers)
        except Exception as error:  # the boundary: a guard that breaks must not end a run
            self._switch_off(error)
            return self._unguarded(commit)
        if self._dry_run and decision.kind != "commit":
            self._rehearse(decision, found.verdict)
            decision = Decision(kind="commit")
        if decision.kind in ("commit", "clip"):
            return self._take(attempt, commit, found, decision)
        try:
            self._undo()
            return self._leave_out(decision, found.verdict, found.reading.loss)
        except Exception as error:  # the same boundary
            self._switch_off(error)
            return Outcome(committed=False, finished=False, reason=found.verdict.reason)

    # decisions

    def _decide(self, verdict: Verdict, key: str, num_strangers: int = 0) -> Decision:
        course, data = self.course, self.data
        situation = Situation(
            can_roll_back=self._recovery.can_roll_back,
            can_show_again=data.can_show_again and not self._dry_run,
            can_hold=data.can_hold and not self._dry_run,
            is_shown_again=data.is_showing,
            num_strangers=num_strangers,
        )
        decision, course.ladder = decide(course.policy, course.ladder, verdict.kind, situation)
        if decision.reanchor:
            course.detector.reanchor(key)
        if course.ladder.level == 0:
            self._recovery.calm()
        return decision

    def _take(
        self,
        attempt: Attempt,
        commit: Callable[[], bool],
        found: Judgement,
        decision: Decision,
    ) -> Outcome:
        reading, verdict = found.reading, found.verdict
        if decision.kind == "clip":
            self._clip(attempt, reading, decision, verdict)
        moved = commit()
        own = attempt.is_own or attempt.has_stepped
        after = Verdict() if own else self._judge.after(attempt)
        if not after.is_good and (outcome := self._taken_back(after, attempt)) is not None:
            return outcome
        self._kept.release()
        course = self.course
        course.step += 1
        self._said_stop = False
        self.data.note_good(reading.loss)
        if verdict.kind == "overflow":
            self._seal()
            return Outcome(committed=moved, finished=True, reason=verdict.reason)
        self._judge.accept(attempt, reading)
        course.rates.advance()
        self._seal()
        if found.due and (damage := self._recovery.snapshot()) is not None and not self._dry_run:
            return self._leave_out(self._decide(damage, attempt.key), damage)
        self._recovery.release_batches()
        return Outcome(committed=moved, finished=True)

    def _taken_back(self, verdict: Verdict, attempt: Attempt) -> Outcome | None:
        """What became of a step that was taken and whose weights are bad; None where it stands."""
        decision = self._decide(verdict, attempt.key)
        if decision.kind in ("commit", "clip"):
            return None
        if self._dry_run:
            self._rehearse(decision, verdict)
            return None
        return self._leave_out(decision, verdict)

    def _let_go(self) -> Outcome:
        """Another turn's step has put the batch aside, so this one takes nothing from it either."""
        self._undo()
        self._kept.release()
        self._seal()
        return Outcome(committed=False, finished=False, reason="its batch was put aside")

    def _clip(
        self, attempt: Attempt, reading: Reading, decision: Decision, verdict: Verdict
    ) -> None:
        limit = self.course.detector.usual("gradient norm", attempt.key)
        norm = reading.grad_norm
        if norm is not None and norm > limit:
            limit_gradients(with_gradients(attempt.optimizers), norm, limit)
            attempt.grad_norm = None
            reason = verdict.reason or "the run settles at a new level"
            why = decision.why or "clipped to what was typical"
            self._recovery.note("clip", f"{reason}: {why}", {"grad_norm": norm, "limit": limit})
        elif decision.reanchor:
            self._recovery.note("clip", f"{verdict.reason}: {decision.why}", dict(verdict.evidence))

    def _leave_out(
        self, decision: Decision, verdict: Verdict, loss: float | None = None
    ) -> Outcome:
        """Nothing of the step is left; then whatever else the decision asks for."""
        was_showing = self.data.is_showing
        self._kept.release()
        if decision.kind == "hold":
            self.data.hold(loss)
            self._seal()
            return Outcome(committed=False, finished=False, reason=f"{verdict.reason}: it waits")
        self.data.stop_showing(self._recovery.sources)
        if decision.kind == "rollback":
            from_step = self.course.step
            outcome = self._recovery.roll_back(decision, verdict)
            self._judge.weights.rebase()
            if verdict.kind == "flip":
                self._resting.went_back(from_step)
            self._seal()
            return outcome
        self._seal()
        if decision.kind == "stop":
            return self._recovery.stop(decision.why, verdict)
        if was_showing:  # the batch that was shown again belongs to no step: no event
            return Outcome(committed=False, finished=False, reason="a good batch shown again")
        self.course.num_skipped += 1
        reason = f"{verdict.reason}: the step was left out"
        reason = f"{reason} ({decision.why})" if decision.why else reason
        evidence = {**verdict.evidence, "kind": verdict.kind, "restored": _RESTORED}
        self._recovery.note("skip", reason, evidence)
        if decision.show_again:
            self.data.show_again(self._recovery.sources)
        return Outcome(committed=False, finished=False, reason=reason)

    def _rehearse(self, decision: Decision, verdict: Verdict) -> None:
        """What would have been done is an event; of a run that is lost it is said once."""
        if self._said_stop:
            return
        self._said_stop = decision.kind in ("rollback", "stop")
        evidence = {**verdict.evidence, "dry_run": True}
        kind: EventKind = "skip" if decision.kind in ("commit", "hold") else decision.kind
        self._recovery.note(kind, f"would {kind}: {verdict.reason} ({decision.why})", evidence)

    # state

    def _seal(self) -> None:
        """What lies still from now on is not to change."""
        if not self._is_off:
            edits = self._resting.settle(self.course.step)
            if edits:
                _LOG.warning("code outside torch changed %s; it is as that code left it", edits[0])

    def _undo(self) -> None:
        self._kept.put_back(with_gradients=False)

    def _unguarded(self, commit: Callable[[], bool]) -> Outcome:
        moved = commit()
        self.course.step += 1
        return Outcome(committed=moved, finished=True)

    def _switch_off(self, error: Exception) -> None:
        """The guard does nothing from now on; said once, in the log."""
        self._is_off = True
        self._kept.release()
        _LOG.warning("the guard broke and is switched off, training goes on: %r", error)


_RESTORED: Final = ("gradients", "buffers", "attributes", "random sources")


def total(losses: list[tuple[Tensor, float]]) -> Tensor | None:
    """The mean of weighted losses, on their device; None where there is none."""
    if not losses:
        return None
    weight = sum(share for _, share in losses)
    return torch.stack([loss * (share / weight) for loss, share in losses]).sum()
