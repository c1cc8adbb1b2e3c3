"""Learning-rate schedules as pure functions: optimizer step -> multiplier of the base rate.

A schedule keeps no state: the rate of a step depends on the step alone, so a resumed, rolled
back or re-run step gets the rate it had. Every one is clamped at both ends. Known schedules of
the field are not: some start at rate zero (a wasted step, and Adam divides its first moments by
it), some at the full peak (a warm-up that fails on the very step it is there for), and an
unclamped cosine climbs back to the peak when training goes on past its end. Given to
`torch.optim.lr_scheduler.LambdaLR`, every group keeps its own base rate.

## Formula

With W = `warmup_steps`, T = `total_steps`, D = `decay_steps`, m = `min_ratio`:
t < W: (t + 1) / (W + 1); then 1 until T - D; then m + (1 - m) * decay((t - T + D) / D);
from T on: m. decay(p) is 0.5 (1 + cos(pi p)), 1 - p or 1 - sqrt(p).

## Shape

A step, counted from 0, to one number.

## Dtype

Python's own float, 64 bits: exact for any number of steps.

## Cost

Arithmetic on the host, a few microseconds per step and group.

## Source

Cosine: Loshchilov & Hutter 2017 (SGDR), one cycle. Linear: Devlin et al. 2019 (BERT),
appendix A.2. Warm-up, stable, decay: Hu et al. 2024 (MiniCPM), section 4; the fifth of the run
and 1 - sqrt: Haegele et al. 2024. (t + 1) / (W + 1) keeps the first step off both 0 and the peak.

## Helps against

`missing-warmup`, `lr-schedule-wrong`, `lr-too-high`
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._span import Span, check_span, check_whole, half_cosine

Decay = Literal["cosine", "linear", "sqrt"]

_DECAYS: Final[dict[Decay, Callable[[float], float]]] = {
    "cosine": half_cosine,
    "linear": lambda progress: 1.0 - progress,
    "sqrt": lambda progress: 1.0 - math.sqrt(progress),
}


@dataclass(frozen=True, kw_only=True)
class Schedule(Span):
    """Warm up linearly, hold the peak, decay to `min_ratio`, stay there.

    Args:
        warmup_steps: steps below the peak; 0 starts at the peak.
        total_steps: the step from which on the multiplier is `min_ratio`.
        min_ratio: the last rate as a share of the peak.
        decay_steps: length of the decay.
        decay: its form.

    Raises:
        UsageError: the numbers do not make a schedule.

    Example:
        >>> schedule = warmup_cosine(warmup_steps=3, total_steps=11, min_ratio=0.5)
        >>> [round(schedule(step), 3) for step in (0, 1, 2, 3, 7, 11, 99)]
        [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.5]
    """

    decay_steps: int
    decay: Decay = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("decay_steps", self.decay_steps, 1, self.total_steps - self.warmup_steps)
        if self.decay not in _DECAYS:
            msg = f"decay must be one of {', '.join(get_args(Decay))}, got {self.decay!r}"
            raise UsageError(f"{msg}: choose one of them.")

    def decayed(self, step: int) -> float:
        """The peak until the decay begins, then its form."""
        progress = max(0, step - self.total_steps + self.decay_steps) / self.decay_steps
        return self.between(_DECAYS[self.decay](progress))


def warmup_cosine(*, warmup_steps: int, total_steps: int, min_ratio: float = 0.0) -> Schedule:
    """A linear warm-up to the peak, then half a cosine down to `min_ratio` at `total_steps`.

    Args:
        warmup_steps: steps below the peak; 0 starts at the peak.
        total_steps: the step from which on the multiplier is `min_ratio`.
        min_ratio: the last rate as a share of the peak.

    Raises:
        UsageError: `total_steps` leaves no step after the warm-up, or `min_ratio` is no share.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        >>> schedule = warmup_cosine(warmup_steps=4, total_steps=100)
        >>> scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
        >>> round(optimizer.param_groups[0]["lr"], 3)
        0.02
    """
    return _single_decay("cosine", warmup_steps, total_steps, min_ratio)


def warmup_linear(*, warmup_steps: int, total_steps: int, min_ratio: float = 0.0) -> Schedule:
    """A linear warm-up to the peak, then a straight line to `min_ratio` at `total_steps`.

    Args:
        warmup_steps: steps below the peak; 0 starts at the peak.
        total_steps: the step from which on the multiplier is `min_ratio`.
        min_ratio: the last rate as a share of the peak.

    Raises:
        UsageError: `total_steps` leaves no step after the warm-up, or `min_ratio` is no share.

    Example:
        >>> warmup_linear(warmup_steps=1, total_steps=5)(3)
        0.5
    """
    return _single_decay("linear", warmup_steps, total_steps, min_ratio)


def warmup_stable_decay(
    *,
    warmup_steps: int,
    total_steps: int,
    decay_steps: int | None = None,
    min_ratio: float = 0.0,
    decay: Decay = "sqrt",
) -> Schedule:
    """A linear warm-up, a plateau at the peak, and a decay over the last `decay_steps`.

    Args:
        warmup_steps: steps below the peak; 0 starts at the peak.
        total_steps: the step from which on the multiplier is `min_ratio`.
        decay_steps: length of the decay; a fifth of the run if None.
        min_ratio: the last rate as a share of the peak.
        decay: `"sqrt"` (1 - sqrt of the progress), `"linear"` or `"cosine"`.

    Raises:
        UsageError: the parts do not fit into `total_steps`, or `min_ratio` is no share.

    Example:
        >>> schedule = warmup_stable_decay(warmup_steps=2, total_steps=20, decay="linear")
        >>> [schedule(step) for step in (2, 16, 18, 20)]
        [1.0, 1.0, 0.5, 0.0]
    """
    check_span(warmup_steps, total_steps)
    if decay_steps is None:
        decay_steps = max(1, min(total_steps // 5, total_steps - warmup_steps))
    return Schedule(
        warmup_steps=warmup_steps,
        total_steps=total_steps,
        decay_steps=decay_steps,
        min_ratio=min_ratio,
        decay=decay,
    )


def _single_decay(decay: Decay, warmup_steps: int, total_steps: int, min_ratio: float) -> Schedule:
    check_span(warmup_steps, total_steps)
    return Schedule(
        warmup_steps=warmup_steps,
        total_steps=total_steps,
        decay_steps=total_steps - warmup_steps,
        min_ratio=min_ratio,
        decay=decay,
    )


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("Schedule", "warmup_cosine", "warmup_linear", "warmup_stable_decay"),
)
