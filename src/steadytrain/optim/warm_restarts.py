"""Cosine cycles: the rate falls to its floor and jumps back to the peak, several times.

The one schedule here that rises after its peak: at each restart, by design, and never after the
last cycle. A jump to the full peak is a known cause of loss spikes; `peak_decay` lowers the
later peaks.

## Formula

With W = `warmup_steps`, T = `total_steps`, m = `min_ratio`: t < W: (t + 1) / (W + 1); the T - W
steps after it are cut into `num_cycles` cycles, each `growth` times as long as the one before;
in cycle k of length L, u steps after its start: m + (1 - m) peak_decay^k 0.5 (1 + cos(pi u / L));
from T on: m.

## Shape

A step, counted from 0, to one number.

## Dtype

Python's own float, 64 bits.

## Cost

Arithmetic on the host, `num_cycles` additions per step and group.

## Source

Loshchilov & Hutter 2017 (SGDR), section 3; cycles that double as in their T_mult = 2, with the
first one's length chosen so that the last ends with the run.

## Helps against

`missing-warmup`, `lr-schedule-wrong`
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._span import Span, check_share, check_whole, half_cosine


@dataclass(frozen=True, kw_only=True)
class WarmRestarts(Span):
    """The schedule as data; made by `cosine_restarts`."""

    num_cycles: int
    growth: float
    peak_decay: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("num_cycles", self.num_cycles, 1, self.total_steps - self.warmup_steps)
        check_share("peak_decay", self.peak_decay)
        if not 1.0 <= self.growth < math.inf:
            msg = f"growth must be a finite factor from 1 on, got {self.growth}"
            raise UsageError(f"{msg}: 1 makes all cycles equally long, 2 doubles each.")
        starts = self.starts
        if len(set(starts)) < len(starts):
            msg = f"{self.num_cycles} cycles growing by {self.growth} leave the first one no step"
            raise UsageError(f"{msg} of {self.total_steps}: use fewer cycles or less growth.")

    @property
    def starts(self) -> list[int]:
        """The first step of each cycle, and the end of the last."""
        shares = [self.growth ** (k - self.num_cycles) for k in range(self.num_cycles)]
        length = self.total_steps - self.warmup_steps
        ends = [sum(shares[:k]) / sum(shares) for k in range(self.num_cycles + 1)]
        return [self.warmup_steps + round(length * end) for end in ends]

    def decayed(self, step: int) -> float:
        """Half a cosine from the start of the step's cycle to the start of the next."""
        starts = self.starts
        cycle = bisect_right(starts, step) - 1
        progress = (step - starts[cycle]) / (starts[cycle + 1] - starts[cycle])
        return self.between(self.peak_decay**cycle * half_cosine(progress))


def cosine_restarts(
    *,
    warmup_steps: int,
    total_steps: int,
    min_ratio: float = 0.0,
    num_cycles: int = 3,
    growth: float = 2.0,
    peak_decay: float = 1.0,
) -> WarmRestarts:
    """A linear warm-up to the peak, then `num_cycles` half cosines down to `min_ratio`.

    Args:
        warmup_steps: steps below the peak, before the first cycle only.
        total_steps: the step from which on the multiplier is `min_ratio`.
        min_ratio: the rate at the end of each cycle as a share of the peak.
        num_cycles: how often the rate falls.
        growth: length of a cycle in lengths of the one before.
        peak_decay: height of a cycle in heights of the one before.

    Raises:
        UsageError: the cycles do not fit into `total_steps`, or a number is out of range.

    Example:
        >>> schedule = cosine_restarts(warmup_steps=0, total_steps=70, peak_decay=0.5)
        >>> [round(schedule(step), 3) for step in (0, 5, 10, 20, 30, 50, 70)]
        [1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.0]
    """
    return WarmRestarts(
        warmup_steps=warmup_steps,
        total_steps=total_steps,
        min_ratio=min_ratio,
        num_cycles=num_cycles,
        growth=growth,
        peak_decay=peak_decay,
    )


TECHNIQUE = technique(__name__, __doc__, exports=("cosine_restarts",))
