"""What is done about a bad step: a pure policy that escalates, within budgets.

    the batch is at fault      skip it, without a trace; the weights are as if it never came
      a spike, or more than    a batch that was good is shown again: if it is good still, the data
      `patience` in a row      is at fault, and skipping goes on up to `max_bad_in_a_row`
    a loss that is too high,   a batch that was good is shown again: if it is good still, the step is
      but no spike             taken, and nothing has happened; if not, the weights are at fault
      a spike that stays       `reanchor_after` refusals in a row are a new level, not an accident:
                               accepted, clipped to what was typical for the first steps
    the weights are at fault   roll back and do the same steps again      heals what does not recur
      again                    roll back and step around the data         one poisoned window
      again                    further back, with a smaller rate          a region too steep
      again                    and with the moments forgotten             moments of the wrong steps
      again                    stop, with the evidence
    weights leapt              the same, but for a leap that comes again after that: it is the run's own
    memory changed by itself   roll back and do the same steps again, on a budget of its own
    `calm_steps` good steps    begin at the top again; the budget of rollbacks is for the whole run

Nothing on this ladder takes a step with a number that is not finite: at its end the run stops.
The same verdicts give the same decisions, so ranks that agree on the verdict agree on all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from steadytrain.core.errors import UsageError
from steadytrain.guard.detect import VerdictKind
from steadytrain.guard.policy import Policy

DecisionKind = Literal["commit", "clip", "hold", "skip", "rollback", "stop"]

STEP_AROUND: Final = 2
CUT_RATE: Final = 3
FORGET: Final = 4

_COUNTS: Final = ("bad_in_a_row", "calm", "level", "num_rollbacks", "num_flips", "settling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What can be done at the moment."""

    can_roll_back: bool
    """Whether there is a snapshot."""
    can_show_again: bool
    """Whether the loop can be given a batch again that was good."""
    is_shown_again: bool = False
    """Whether the step that was judged is on such a batch."""
    can_hold: bool = False
    """Whether the same batch can be had again after that one."""
    num_strangers: int = 0
    """Spikes of one series that were refused in a row, this one among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is done about a step."""

    kind: DecisionKind
    show_again: bool = False
    """Show the loop a batch next that was good."""
    reanchor: bool = False
    """What was refused last is the usual level from now on."""
    step_around: bool = False
    """After the rollback the data goes on where it is now."""
    oldest: bool = False
    """Roll back as far as possible, not to the newest snapshot."""
    cut_rate: bool = False
    reset_moments: bool = False
    why: str = ""
    """Why this and nothing milder; empty for a step that is simply taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """How far the guard has climbed; plain numbers, saved with the run."""

    bad_in_a_row: int = 0
    calm: int = 0
    level: int = 0
    """0: nothing; 1: rolled back; 2: stepped around; 3: rate cut; 4: moments forgotten."""
    num_rollbacks: int = 0
    num_flips: int = 0
    settling: int = 0
    """Steps at a new level that are still to be clipped."""
    data_at_fault: bool = False
    """Whether a batch that was good is good still, so that the weights are."""
    held: bool = False
    """Whether a step waits until a batch that was good has been looked at again."""
    cleared: bool = False
    """Whether that was good still, so that the step is taken."""

    def to_json(self) -> dict[str, Any]:
        """The ladder as JSON's own types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ladder:
        """The ladder that `to_json` wrote.

        Raises:
            UsageError: it did not.
        """
        try:
            at_fault = bool(data["data_at_fault"])
            held, cleared = bool(data.get("held")), bool(data.get("cleared"))
            numbers = {name: int(data[name]) for name in _COUNTS}
        except (KeyError, TypeError, ValueError) as error:
            msg = f"a guard's state needs the numbers of its ladder, found {dict(data)!r:.120}"
            raise UsageError(f"{msg} ({error}). Pass what Guard.state_dict() returned.") from None
        return cls(data_at_fault=at_fault, held=held, cleared=cleared, **numbers)


def decide(
    policy: Policy, ladder: Ladder, verdict: VerdictKind, situation: Situation
) -> tuple[Decision, Ladder]:
    """What is done about a step, and how far up the ladder that is.

    Args:
        policy: the limits.
        ladder: where the steps before led.
        verdict: on this step.
        situation: what can be done.

    Example:
        >>> free = Situation(can_roll_back=True, can_show_again=True)
        >>> decision, ladder = decide(Policy(), Ladder(), "nonfinite", free)
        >>> decision.kind, ladder.bad_in_a_row
        ('skip', 1)
    """
    good = verdict in ("good", "overflow")
    if verdict == "flip":
        return _heal(policy, ladder, situation)
    if situation.is_shown_again:
        return _weigh(policy, ladder, good, situation)
    if good:
        return _go_on(policy, ladder)
    if verdict == "suspect":
        return _doubt(policy, ladder, situation)
    if verdict == "leap" and (ladder.level >= STEP_AROUND or not situation.can_roll_back):
        return _go_on(policy, ladder)  # it comes with other data too: it is how this run steps
    if verdict in ("leap", "state"):
        return _climb(policy, ladder, situation)
    ladder = replace(ladder, bad_in_a_row=ladder.bad_in_a_row + 1, calm=0)
    if verdict == "spike" and situation.num_strangers >= policy.reanchor_after:
        why = f"{situation.num_strangers} steps in a row are no accident: it is the new level"
        ladder = replace(ladder, bad_in_a_row=0, data_at_fault=False, settling=policy.settle_steps)
        return Decision(kind="clip", reanchor=True, why=why), ladder
    return _bad_batch(policy, ladder, verdict, situation)


def _go_on(policy: Policy, ladder: Ladder) -> tuple[Decision, Ladder]:
    calm = ladder.calm + 1
    level = 0 if calm >= policy.calm_steps else ladder.level
    after = replace(
        ladder,
        bad_in_a_row=0,
        calm=calm,
        level=level,
        data_at_fault=False,
        settling=max(0, ladder.settling - 1),
        held=False,
        cleared=False,
    )
    kind: DecisionKind = "clip" if ladder.settling else "commit"
    return Decision(kind=kind), after


def _doubt(policy: Policy, ladder: Ladder, situation: Situation) -> tuple[Decision, Ladder]:
    """A loss that is high, but not absurd: first a batch that was good before, then this one."""
    if ladder.cleared or not situation.can_hold:
        return _go_on(policy, ladder)
    return Decision(kind="hold", show_again=True), replace(ladder, held=True)


def _heal(policy: Policy, ladder: Ladder, situation: Situation) -> tuple[Decision, Ladder]:
    """Memory that changed by itself is no fault of the run: done again, and no rung climbed."""
    if not situation.can_roll_back:
        return Decision(kind="stop", why="there is no snapshot to go back to"), ladder
    if ladder.num_flips >= policy.max_flips:
        why = f"it happened {ladder.num_flips} times: the memory of this machine cannot be trusted"
        return Decision(kind="stop", why=why), ladder
    after = replace(ladder, num_flips=ladder.num_flips + 1, data_at_fault=False)
    return Decision(kind="rollback", why="the same steps are done again"), after


def _weigh(
    policy: Policy, ladder: Ladder, good: bool, situation: Situation
) -> tuple[Decision, Ladder]:
    """A batch that was good was shown again; whatever came of it, it is not trained on twice."""
    if good and ladder.held:
        return Decision(kind="skip"), replace(ladder, held=False, cleared=True)
    if good:
        return Decision(kind="skip"), replace(ladder, data_at_fault=True)
    return _climb(policy, ladder, situation)


def _bad_batch(
    policy: Policy, ladder: Ladder, verdict: VerdictKind, situation: Situation
) -> tuple[Decision, Ladder]:
    num = ladder.bad_in_a_row
    if ladder.data_at_fault:
        if num < policy.max_bad_in_a_row:
            return Decision(kind="skip", why="the weights are good, the data is not"), ladder
        why = f"{num} batches in a row were bad, while a batch that was good before still is"
        return Decision(kind="stop", why=why), ladder
    is_finite = verdict == "spike"  # weights may be spoilt without a NaN: ask at once
    if num <= policy.patience and not (is_finite and situation.can_show_again):
        return Decision(kind="skip", why="this batch alone is suspected"), ladder
    if situation.can_show_again:
        why = f"{num} in a row: a batch that was good is shown again"
        return Decision(kind="skip", show_again=True, why=why), ladder
    if verdict == "spike" or num <= policy.blind_patience:
        return Decision(kind="skip", why=f"{num} in a row, nothing to compare with"), ladder
    return _climb(policy, ladder, situation)


def _climb(policy: Policy, ladder: Ladder, situation: Situation) -> tuple[Decision, Ladder]:
    """The weights are at fault: the next rung."""
    level = ladder.level + 1
    if not situation.can_roll_back:
        return Decision(kind="stop", why="there is no snapshot to go back to"), ladder
    if ladder.num_rollbacks >= policy.max_rollbacks:
        why = f"the budget of {policy.max_rollbacks} rollbacks is used up"
        return Decision(kind="stop", why=why), ladder
    if level > FORGET:
        why = "doing it again, stepping around, a smaller rate and fresh moments did not help"
        return Decision(kind="stop", why=why), ladder
    after = replace(
        ladder,
        bad_in_a_row=0,
        calm=0,
        level=level,
        num_rollbacks=ladder.num_rollbacks + 1,
        data_at_fault=False,
        settling=0,
        held=False,
        cleared=False,
    )
    decision = Decision(
        kind="rollback",
        step_around=level >= STEP_AROUND,
        oldest=level >= CUT_RATE,
        cut_rate=level >= CUT_RATE,
        reset_moments=level >= FORGET,
        why=_RUNGS[level],
    )
    return decision, after


_RUNGS: Final = {
    1: "the same steps are done again: what does not recur is healed",
    2: "it came again at the same place: the data in between is stepped around",
    3: "it came again elsewhere: further back, with a smaller rate that is ramped up",
    4: "it came again at a smaller rate: the moments are forgotten too",
}
