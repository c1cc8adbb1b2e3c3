"""Whether a run is healthy, and whether a change restored one that is not.

A run is **healthy** when

1. it is finite to its last step and raises nothing;
2. no rule speaks at warning or above;
3. it learns: its loss falls by more than its noise, and below where the observed run began if the two
   can be compared, or its metric beats the observed run's. A run of several optimizers, whose
   loss is a game's, need not;
4. over the whole length it is not clearly worse than an observed run that stayed finite: its loss
   fell at least a third as far, where the two can be compared, and its metric is no lower. A short
   trial may be behind: what blows up later often falls fastest first.

Where the observed run was finite and without an alarm, and a check before the first step had failed
that points to what the change would prove, the check must pass on the changed program; then it is
enough that the run is not clearly worse. Where the check saw that the answer can be read from the
input, even that is no condition: an honest run has a higher loss.

Where the observed run learned and its only alarms are warnings about an uneven loss, which may be
chance, the loss must also end lower than the observed run's, or the metric higher.

Where the observed run was finite and without an alarm and just did not learn, it takes more: the
fall of the loss must exceed the observed run's by a tenth of the first level and by the noise, or
its metric must. In a game only the metric can say so: there a lower loss may be a lost opponent.

The noise is what another order of the data and other random draws change, and the standard error
of the difference, whichever is larger. Every number is a ratio of losses of one kind, so that the
score has no scale. **Merit** says how well a healthy run does, 0 to 1: the mean of what it makes of its
loss and of its metric, 1 for the best of all trials and less by a factor of e for every tenth of
the first loss, or fifth of the best gain of the metric, that a trial lies behind it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from steadytrain.doctor.observing import Observation
from steadytrain.doctor.reading import SURE, Reading, difference, read
from steadytrain.doctor.repairs import Repair

BEHIND: Final = 0.1
"""Share of the first loss by which a trial behind the best loses a factor of e of its merit."""

BEHIND_BY: Final = 1 / 3
"""Share of the observed run's progress below which a healthy-looking trial just stands still.

Not closer to 1: gradients that add up act as a higher rate, and their repair is slower at first.
"""

CLEAR: Final = 0.1
"""Share of the first level by which a silent run must improve to count as restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What other draws change, by themselves."""

    loss: float = 0.0
    """Of the last losses, in their own unit."""
    metric: float = 0.0

    @classmethod
    def between(cls, one: Observation, other: Observation, steps: int) -> Noise:
        """The noise that a run and its placebo show; 0 where they cannot be compared."""
        mine, theirs = read(one, steps), read(other, steps)
        loss, metric = abs(mine.tail - theirs.tail), abs(mine.metric - theirs.metric)
        return cls(
            loss=loss if math.isfinite(loss) else 0.0,
            metric=metric if math.isfinite(metric) else 0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a trial says."""

    healthy: bool
    outcome: str
    """In a clause, with its number: `the loss is no longer finite after step 12`."""
    reading: Reading
    mended: bool = False
    """Whether it passes a check that the program had failed, where nothing else was wrong."""
    gain: float = math.nan
    """Of the last losses over the observed run's, in its first level; NaN if not comparable."""


def judge_trial(
    trial: Observation,
    base: Observation,
    noise: Noise,
    steps: int,
    *,
    is_comparable: bool,
    is_game: bool,
    repair: Repair | None = None,
) -> Judgement:
    """The judgement of the first `steps` steps of a trial against the observed run."""
    own, seen = read(trial, steps), read(base, steps)
    gap, error = difference(trial, base, steps) if is_comparable else (math.nan, math.nan)
    margin = _margin(noise, error)
    scale = max(abs(seen.head), 1e-30)
    is_quiet = seen.is_finite and not seen.alarms
    mended = repair is not None and is_quiet and bool(repair.passed)
    is_honest = mended and repair is not None and repair.ends_a_leak
    reasons = _not_finite(trial, own) or _alarming(own)
    if not is_honest:
        reasons = reasons or _worse(gap, margin, own, seen, noise, is_whole=steps >= base.asked)
    if not mended:
        reasons = reasons or _not_learning(own, seen, gap, error, noise, is_game=is_game)
    better = f"the loss went from {own.head:.3g} to {own.tail:.3g}, no alarm"
    if mended and repair is not None:
        better += f", and {' and '.join(sorted(repair.passed))} passes"
    if math.isfinite(own.metric):
        better += f", metric {own.metric:.3g} (was {seen.metric:.3g})"
    return Judgement(
        healthy=not reasons,
        outcome=reasons or better,
        reading=own,
        mended=mended,
        gain=gap / scale,
    )


def _margin(noise: Noise, error: float) -> float:
    return max(noise.loss, SURE * error) if math.isfinite(error) else noise.loss


def merits(judgements: Mapping[str, Judgement], before: float) -> dict[str, float]:
    """How well each healthy trial does, 0 to 1; by the name of its change.

    Args:
        judgements: of trials of one length or of several.
        before: the observed run's metric, NaN where its weights were lost.
    """
    healthy = {name: one.reading for name, one in judgements.items() if one.healthy}
    losses = {name: -_left(one) for name, one in healthy.items()}
    metrics = {name: one.metric for name, one in healthy.items() if math.isfinite(one.metric)}
    by_loss = _near_best(losses, BEHIND)
    best = max(metrics.values(), default=0.0)
    gain = best - before if math.isfinite(before) else abs(best)
    by_metric = _near_best(metrics, max(2 * BEHIND * gain, 1e-12))
    return {name: (by_loss[name] + by_metric.get(name, by_loss[name])) / 2 for name in healthy}


def _left(reading: Reading) -> float:
    """The last loss over the first, at most 2: what is left of it; all of it where none was finite."""
    return 1.0 - reading.progress if math.isfinite(reading.progress) else 1.0


def _near_best(values: Mapping[str, float], scale: float) -> dict[str, float]:
    """1 for the largest value, less by a factor of e for each `scale` below it."""
    best = max(values.values(), default=0.0)
    return {name: math.exp((value - best) / scale) for name, value in values.items()}


def _not_finite(trial: Observation, own: Reading) -> str:
    if trial.error:
        return f"raised {trial.error} at step {trial.steps}"
    return "" if own.is_finite else f"the loss is not finite, {trial.steps} steps were run"


def _alarming(own: Reading) -> str:
    if not own.alarms:
        return ""
    return f"still {', '.join(sorted(own.alarms))}, first at step {own.first_alarm}"


def _worse(
    gap: float, margin: float, own: Reading, seen: Reading, noise: Noise, *, is_whole: bool
) -> str:
    """Where the losses cannot be compared, or the observed run had none, the metric decides."""
    if not is_whole:
        return ""
    is_behind = seen.is_finite and gap < -margin and own.progress < BEHIND_BY * seen.progress
    if is_behind:
        return f"the loss ends at {own.tail:.3g}, above the {seen.tail:.3g} of the observed run"
    if own.metric < seen.metric - max(SURE * noise.metric, CLEAR * abs(seen.metric)):
        return f"the metric ends at {own.metric:.3g}, below the {seen.metric:.3g} before"
    return ""


def _not_learning(
    own: Reading, seen: Reading, gap: float, error: float, noise: Noise, *, is_game: bool
) -> str:
    margin = _margin(noise, error)
    metric_gain = own.metric - seen.metric
    by_metric = metric_gain > max(SURE * noise.metric, CLEAR * abs(seen.metric))
    if seen.is_only_uneven and seen.learned and not by_metric and gap <= SURE * error:
        return f"the loss ends at {own.tail:.3g}, no better than the {seen.tail:.3g} before"
    if seen.alarms or not seen.is_finite:
        is_below = not math.isfinite(gap) or seen.head - own.tail > SURE * own.error
        if not (is_below or by_metric or is_game):
            return f"the loss ends at {own.tail:.3g}, where the observed run began, {seen.head:.3g}"
        if own.learned or by_metric or (is_game and seen.is_finite):
            return ""
        return f"the loss stays at {own.tail:.3g}"
    further = own.progress - seen.progress
    is_lower = gap > margin or not math.isfinite(gap)
    by_loss = further > CLEAR and is_lower and own.learned and not is_game
    if by_loss or (by_metric and not gap < -margin):
        return ""
    return f"the loss ends at {own.tail:.3g}, hardly below the {seen.tail:.3g} before"
