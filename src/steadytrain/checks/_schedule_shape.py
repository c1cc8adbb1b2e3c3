"""What a learning-rate schedule does over thousands of steps, and which of it nobody means."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rates = NDArray[np.float64]

JUMP: Final = 20.0
"""Factor by which a rate may rise above all earlier ones within one step."""

DROP: Final = 50.0
"""Factor by which it may fall within one step; staircases fall by 10."""

SHORTEST: Final = 50
"""Steps within which no exponential decay is meant to be over, however short the pass is."""

ENDLESS: Final = 10_000
"""Steps after which a warmup must have reached half the rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """One thing that is wrong with a schedule."""

    kind: str
    step: int
    message: str
    causes: tuple[str, ...] = ("lr-schedule-wrong",)


def oddities(rates: Rates, base: float, epoch: int | None) -> Iterator[Oddity]:
    """Everything that is wrong, in the order of the steps of a careful reader.

    Args:
        rates: the rate of every step.
        base: the rate that the optimizer was given.
        epoch: batches of one pass over the data; None where that is not known.
    """
    if not np.isfinite(rates).all() or rates.min() < 0 or rates.max() <= 0:
        step = int(np.argmax(~np.isfinite(rates) | (rates < 0)))
        yield Oddity(
            kind="invalid", step=step, message=f"the rate is {rates[step]:g} at step {step}"
        )
        return
    for find in (_repeated_ramp, _drop, _jump, _gone_at_once, _cosine_again, _endless_warmup):
        odd = find(rates, base, epoch)
        if odd is not None:
            yield odd
            return


def _ratios(rates: Rates) -> Rates:
    """Each rate over the one before it; 1 where either is next to nothing."""
    tiny = 1e-7 * rates.max()
    before, after = np.maximum(rates[:-1], tiny), np.maximum(rates[1:], tiny)
    return after / before


def _repeated_ramp(rates: Rates, _base: float, _epoch: int | None) -> Oddity | None:
    """The rate falls at once and climbs the same ramp again, over and over."""
    high = rates[:-1] > 0.2 * rates.max()
    falls = np.flatnonzero((_ratios(rates) < 1 / 5) & high) + 1
    if len(falls) < 2:
        return None
    ends = [*falls[1:], len(rates)]
    top = 0.8 * rates.max()
    ramps = [
        start
        for start, end in zip(falls, ends, strict=True)
        if rates[start:end].max() > top and rates[start] < 0.5 * top
    ]
    if len(ramps) < 2:
        return None
    period = ramps[1] - ramps[0]
    return Oddity(
        kind="repeated-ramp",
        step=int(ramps[0]),
        message=f"the rate falls to nothing and climbs the same ramp again every {period} steps: "
        "the warmup begins anew. Build the schedule once",
    )


def _drop(rates: Rates, base: float, epoch: int | None) -> Oddity | None:
    """The first steps run at a rate that is then cut by far more than any staircase does."""
    within = min(len(rates) - 1, max(100, epoch or 0))
    ratios = _ratios(rates)[:within]
    step = int(ratios.argmin())
    after = rates[step + 1]
    if not (ratios[step] < 1 / DROP and after > 1e-4 * base):
        return None
    return Oddity(
        kind="drop",
        step=step,
        message=f"the first {step + 1} steps run at {rates[step] / after:.3g} times the rate of those "
        "after them",
        causes=("lr-schedule-wrong", "lr-too-high"),
    )


def _jump(rates: Rates, _base: float, _epoch: int | None) -> Oddity | None:
    """In one step the rate rises far above every earlier one."""
    peaks = np.maximum.accumulate(rates)[:-1]
    ratios = np.where(peaks > 0, rates[1:] / np.maximum(peaks, 1e-300), 1.0)
    step = int(ratios.argmax()) + 1
    if step < 2 or not ratios[step - 1] > JUMP:
        return None
    return Oddity(
        kind="jump",
        step=step,
        message=f"at step {step} the rate leaps to {ratios[step - 1]:.3g} times its highest before",
        causes=("lr-schedule-wrong", "lr-too-high"),
    )


def _gone_at_once(rates: Rates, _base: float, epoch: int | None) -> Oddity | None:
    """A decay by factors that is over before the first pass over the data is."""
    peak = int(rates.argmax())
    after = rates[peak:] / rates[peak]
    low = np.flatnonzero(after < 1.001e-3)
    if not len(low) or after[low[0] :].max() > 0.1:
        return None
    half = int(np.flatnonzero(after < 0.5)[0])
    by_factors, whole = low[0] > 6 * half, epoch or 0
    within = max(whole, SHORTEST) if by_factors else whole
    # a line or a cosine to zero ends where it was told to
    if peak + low[0] >= within or not (by_factors or _is_staircase(after[: low[0] + 1])):
        return None
    return Oddity(
        kind="gone",
        step=peak + int(low[0]),
        message=f"the rate is a thousandth of its peak after {peak + low[0]} steps, where a pass over "
        f"the data has {epoch or 'more'}: it counts steps where epochs are meant",
    )


def _is_staircase(rates: Rates) -> bool:
    """Three falls or more by one factor, and nothing between them."""
    ratios = _ratios(rates)
    falls = ratios[ratios < 0.9]
    rest = ratios[ratios >= 0.9]
    same = len(falls) >= 3 and np.allclose(falls[:3], falls[0], rtol=0.05)
    return bool(same and len(rest) and np.allclose(rest, 1.0))


def _cosine_again(rates: Rates, _base: float, _epoch: int | None) -> Oddity | None:
    """A short cosine that goes on after its end: the rate climbs back slowly, over and over."""
    scaled = rates / rates.max()
    if np.abs(np.diff(scaled)).max() > 0.5:
        return None
    lows, rises, since = False, 0, 0
    first = period = 0
    for step, rate in enumerate(scaled[int(scaled.argmax()) :]):
        if rate < 0.02:
            lows, since = True, step
        elif lows and rate > 0.8:
            lows, rises = False, rises + 1
            first, period = (since, step) if rises == 1 else (first, period)
    if rises < 2 or period > 150:
        return None
    return Oddity(
        kind="cosine-again",
        step=first,
        message=f"the rate reaches zero at step {first} and climbs back, {rises} times: the cosine is "
        "shorter than the run. Give it the number of steps of the whole run",
    )


def _endless_warmup(rates: Rates, base: float, epoch: int | None) -> Oddity | None:
    """After ten thousand steps and fifty passes the warmup is not half done."""
    if epoch is None or len(rates) < ENDLESS or epoch * 50 > ENDLESS:
        return None
    last = rates[-1]
    rising = bool((np.diff(rates) >= 0).all()) and last > rates[0]
    if not (rising and last < 0.5 * base and math.isfinite(base)):
        return None
    return Oddity(
        kind="endless-warmup",
        step=len(rates),
        message=f"after {len(rates)} steps, {len(rates) // epoch} passes over the data, the rate is "
        f"{last / base:.2g} of the one given: the warmup counts samples where steps are meant",
        causes=("lr-schedule-wrong", "lr-too-low"),
    )
