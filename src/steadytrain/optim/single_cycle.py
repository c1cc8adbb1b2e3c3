"""One cycle: a cosine up to a high peak, a cosine down to almost nothing.

The long rise lets a peak be reached that would diverge at the start. The momentum, which the
published policy lowers while the rate is high, is not touched.

## Formula

With W = `warmup_steps`, T = `total_steps`, s = `start_ratio`, m = `min_ratio` and
h(p) = 0.5 (1 + cos(pi p)): t < W: s + (1 - s) (1 - h(t / W)); then m + (1 - m) h((t - W) / (T - W));
from T on: m.

## Shape

A step, counted from 0, to one number.

## Dtype

Python's own float, 64 bits.

## Cost

Arithmetic on the host, a few microseconds per step and group.

## Source

Smith & Topin 2018 (Super-Convergence), with cosines instead of straight lines and the constants
of `torch.optim.lr_scheduler.OneCycleLR`: 30% rising, start 1/25, end 1/250,000 of the peak.

## Helps against

`missing-warmup`, `lr-schedule-wrong`, `lr-too-high`
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._span import Span, check_whole, half_cosine


@dataclass(frozen=True, kw_only=True)
class SingleCycle(Span):
    """The schedule as data; made by `one_cycle`."""

    start_ratio: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.start_ratio < 1.0:
            msg = f"start_ratio must lie between 0 and 1, both excluded, got {self.start_ratio}"
            raise UsageError(
                f"{msg}: a first step at rate 0 is wasted, one at the peak is no rise."
            )

    def warmed(self, step: int) -> float:
        """From `start_ratio` up to the peak."""
        rise = 1.0 - half_cosine(step / self.warmup_steps)
        return self.start_ratio + (1.0 - self.start_ratio) * rise

    def decayed(self, step: int) -> float:
        """From the peak down to `min_ratio`."""
        length = self.total_steps - self.warmup_steps
        return self.between(half_cosine((step - self.warmup_steps) / length))


def one_cycle(
    *,
    total_steps: int,
    warmup_steps: int | None = None,
    start_ratio: float = 1 / 25,
    min_ratio: float = 1 / 250_000,
) -> SingleCycle:
    """A cosine from `start_ratio` up to the peak and down to `min_ratio` at `total_steps`.

    Args:
        total_steps: the step from which on the multiplier is `min_ratio`.
        warmup_steps: steps of the rise; 30% of the run if None, 0 starts at the peak.
        start_ratio: the first rate as a share of the peak.
        min_ratio: the last rate as a share of the peak.

    Raises:
        UsageError: the rise does not fit into `total_steps`, or a share is out of range.

    Example:
        >>> schedule = one_cycle(total_steps=100, start_ratio=0.04)
        >>> [round(schedule(step), 3) for step in (0, 15, 30, 65, 100)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    check_whole("total_steps", total_steps, 1, None)
    return SingleCycle(
        warmup_steps=3 * total_steps // 10 if warmup_steps is None else warmup_steps,
        total_steps=total_steps,
        min_ratio=min_ratio,
        start_ratio=start_ratio,
    )


TECHNIQUE = technique(__name__, __doc__, exports=("one_cycle",))
