"""What all schedules share: a checked span of steps, a linear warm-up, a floor at its end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from steadytrain.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Span:
    """Below the peak until `warmup_steps`, `min_ratio` from `total_steps` on; between is `decayed`.

    Without slots, because `LambdaLR.state_dict` saves a callable's `__dict__`: a schedule is
    part of the scheduler's checkpoint, and so all it holds are plain numbers.
    """

    warmup_steps: int
    total_steps: int
    min_ratio: float = 0.0

    def __post_init__(self) -> None:
        check_span(self.warmup_steps, self.total_steps)
        check_share("min_ratio", self.min_ratio)

    def __call__(self, step: int) -> float:
        """The multiplier of the base learning rate during optimizer step `step`, from 0 on."""
        if step < self.warmup_steps:
            return self.warmed(max(step, 0))
        return self.min_ratio if step >= self.total_steps else self.decayed(step)

    def warmed(self, step: int) -> float:
        """The multiplier during the warm-up: above 0 at step 0, the peak only after it."""
        return (step + 1) / (self.warmup_steps + 1)

    def decayed(self, step: int) -> float:
        """The multiplier after the warm-up and before the end."""
        raise NotImplementedError

    def between(self, share: float) -> float:
        """The multiplier at `share` of the way from `min_ratio` up to the peak."""
        return self.min_ratio + (1.0 - self.min_ratio) * share


def half_cosine(progress: float) -> float:
    """From 1 at progress 0 down to 0 at progress 1, level at both ends."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def check_span(warmup_steps: int, total_steps: int) -> None:
    """Raise if the warm-up does not fit into the steps."""
    check_whole("warmup_steps", warmup_steps, 0, None)
    check_whole("total_steps", total_steps, warmup_steps + 1, None)


def check_whole(name: str, value: object, low: int, high: int | None) -> None:
    """Raise unless `value` is a number of optimizer steps within the limits."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and low <= cast("int", value) and (high is None or cast("int", value) <= high):
        return
    limits = f"from {low} on" if high is None else f"from {low} to {high}"
    raise UsageError(
        f"{name} must be a whole number of optimizer steps {limits}, got {value!r}: "
        "warm-up and decay together must fit into total_steps."
    )


def check_share(name: str, value: float) -> None:
    """Raise unless `value` is a share of the peak rate."""
    if not 0.0 <= value <= 1.0:
        msg = f"{name} must be a share of the peak from 0 to 1, got {value}"
        raise UsageError(f"{msg}: 0.1 is a tenth of the peak rate.")


def check_positive(name: str, value: float, remedy: str) -> None:
    """Raise unless `value` is a finite number above zero."""
    if not 0.0 < value < math.inf:
        raise UsageError(f"{name} must be a finite number above 0, got {value}: {remedy}.")
