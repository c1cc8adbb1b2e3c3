"""A linear warm-up, then the peak for ever: for runs whose end is not known.

## Formula

With W = `warmup_steps`: t < W: (t + 1) / (W + 1); from W on: 1.

## Shape

A step, counted from 0, to one number.

## Dtype

Python's own float, 64 bits.

## Cost

Arithmetic on the host, a few microseconds per step and group.

## Source

The trapezoid without its last part (Zhai et al. 2022; Haegele et al. 2024): any step of such a
run can later begin the decay of a `warmup_stable_decay`.

## Helps against

`missing-warmup`, `lr-schedule-wrong`
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.core.technique import technique
from steadytrain.optim._span import check_whole


@dataclass(frozen=True, kw_only=True)
class ConstantRate:
    """The schedule as data; made by `warmup_constant`."""

    warmup_steps: int

    def __post_init__(self) -> None:
        check_whole("warmup_steps", self.warmup_steps, 0, None)

    def __call__(self, step: int) -> float:
        """The multiplier of the base learning rate during optimizer step `step`, from 0 on."""
        return min(1.0, (max(step, 0) + 1) / (self.warmup_steps + 1))


def warmup_constant(*, warmup_steps: int) -> ConstantRate:
    """A linear warm-up to the peak, which is held.

    Args:
        warmup_steps: steps below the peak; 0 starts at the peak.

    Raises:
        UsageError: `warmup_steps` is no number of steps.

    Example:
        >>> schedule = warmup_constant(warmup_steps=3)
        >>> [schedule(step) for step in (0, 1, 3, 10**9)]
        [0.25, 0.5, 1.0, 1.0]
    """
    return ConstantRate(warmup_steps=warmup_steps)


TECHNIQUE = technique(__name__, __doc__, exports=("warmup_constant",))
