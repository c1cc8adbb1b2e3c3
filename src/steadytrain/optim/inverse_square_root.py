"""A schedule without a horizon: the rate falls with the square root of the step, then cools down.

The decay is the same whatever `total_steps` is, so a run can be prolonged from any step before
the cool-down.

## Formula

With W = `warmup_steps`, T = `total_steps`, C = `cooldown_steps`, m = `min_ratio` and
s = `timescale`: t < W: (t + 1) / (W + 1); then r(t) = max(m, sqrt(s / (s + t - W))) until T - C;
then m + (r(T - C) - m) (T - t) / C; from T on: m.

## Shape

A step, counted from 0, to one number.

## Dtype

Python's own float, 64 bits.

## Cost

Arithmetic on the host, a few microseconds per step and group.

## Source

Vaswani et al. 2017, section 5.3 (s = W + 1 is their 1 / sqrt(t)); the cool-down: Zhai et al. 2022
(Scaling Vision Transformers). A fifth of the run, as in `warmup_stable_decay`.

## Helps against

`missing-warmup`, `lr-schedule-wrong`, `lr-too-high`
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steadytrain.core.technique import technique
from steadytrain.optim._span import Span, check_positive, check_span, check_whole


@dataclass(frozen=True, kw_only=True)
class InverseSquareRoot(Span):
    """The schedule as data; made by `warmup_inverse_sqrt`."""

    cooldown_steps: int
    timescale: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("cooldown_steps", self.cooldown_steps, 1, self.total_steps - self.warmup_steps)
        check_positive(
            "timescale", self.timescale, "give it in steps, such as the warm-up's length"
        )

    def decayed(self, step: int) -> float:
        """The inverse root, then a straight line to the floor."""
        cooling = self.total_steps - self.cooldown_steps
        top = self._root(min(step, cooling))
        left = min(1.0, (self.total_steps - step) / self.cooldown_steps)
        return self.min_ratio + (top - self.min_ratio) * left

    def _root(self, step: int) -> float:
        root = math.sqrt(self.timescale / (self.timescale + step - self.warmup_steps))
        return max(self.min_ratio, root)


def warmup_inverse_sqrt(
    *,
    warmup_steps: int,
    total_steps: int,
    min_ratio: float = 0.0,
    cooldown_steps: int | None = None,
    timescale: float | None = None,
) -> InverseSquareRoot:
    """A linear warm-up, 1 / sqrt of the step, and a straight line down at the end.

    Args:
        warmup_steps: steps below the peak; 0 starts at the peak.
        total_steps: the step from which on the multiplier is `min_ratio`.
        min_ratio: the last rate as a share of the peak.
        cooldown_steps: length of the straight line; a fifth of the run if None.
        timescale: steps after the warm-up in which the rate falls to 1 / sqrt(2);
            `warmup_steps + 1` if None.

    Raises:
        UsageError: the parts do not fit into `total_steps`, or a number is out of range.

    Example:
        >>> schedule = warmup_inverse_sqrt(warmup_steps=3, total_steps=100, cooldown_steps=10)
        >>> [schedule(step) for step in (0, 3, 15, 63, 100)]
        [0.25, 1.0, 0.5, 0.25, 0.0]
    """
    check_span(warmup_steps, total_steps)
    if cooldown_steps is None:
        cooldown_steps = max(1, min(total_steps // 5, total_steps - warmup_steps))
    return InverseSquareRoot(
        warmup_steps=warmup_steps,
        total_steps=total_steps,
        min_ratio=min_ratio,
        cooldown_steps=cooldown_steps,
        timescale=warmup_steps + 1 if timescale is None else timescale,
    )


TECHNIQUE = technique(__name__, __doc__, exports=("warmup_inverse_sqrt",))
