"""A schedule that falls with a power of what is left of the run.

A power below 1 keeps the rate high and drops it late, a power above 1 drops it early.

## Formula

With W = `warmup_steps`, T = `total_steps`, m = `min_ratio`: t < W: (t + 1) / (W + 1); then
m + (1 - m) ((T - t) / (T - W)) ^ power; from T on: m.

## Shape

A step, counted from 0, to one number.

## Dtype

Python's own float, 64 bits.

## Cost

Arithmetic on the host, a few microseconds per step and group.

## Source

Chen et al. 2018 (DeepLab), section 4.1: the "poly" policy with power 0.9.

## Helps against

`missing-warmup`, `lr-schedule-wrong`, `lr-too-high`
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.core.technique import technique
from steadytrain.optim._span import Span, check_positive


@dataclass(frozen=True, kw_only=True)
class PolynomialDecay(Span):
    """The schedule as data; made by `warmup_polynomial`."""

    power: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("power", self.power, "1 is a straight line")

    def decayed(self, step: int) -> float:
        """A power of the share of the steps that is left."""
        left = (self.total_steps - step) / (self.total_steps - self.warmup_steps)
        return self.between(left**self.power)


def warmup_polynomial(
    *, warmup_steps: int, total_steps: int, min_ratio: float = 0.0, power: float = 0.9
) -> PolynomialDecay:
    """A linear warm-up to the peak, then a power of what is left, down to `min_ratio`.

    Args:
        warmup_steps: steps below the peak; 0 starts at the peak.
        total_steps: the step from which on the multiplier is `min_ratio`.
        min_ratio: the last rate as a share of the peak.
        power: above 0; 1 is `warmup_linear`.

    Raises:
        UsageError: `total_steps` leaves no step after the warm-up, or a number is out of range.

    Example:
        >>> schedule = warmup_polynomial(warmup_steps=0, total_steps=10, power=2.0)
        >>> [schedule(step) for step in (0, 5, 10, 11)]
        [1.0, 0.25, 0.0, 0.0]
    """
    return PolynomialDecay(
        warmup_steps=warmup_steps, total_steps=total_steps, min_ratio=min_ratio, power=power
    )


TECHNIQUE = technique(__name__, __doc__, exports=("warmup_polynomial",))
