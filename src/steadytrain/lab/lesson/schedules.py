"""The lesson's warm-up and cosine decay: as it meant them, and as its code runs them.

A schedule maps finished optimizer steps to a multiplier of the peak rate; the functions here
build one from the number of warm-up steps and of all steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from steadytrain.optim.schedules import warmup_cosine

Schedule = Callable[[int], float]


def corrected(warmup_steps: int, total_steps: int) -> Schedule:
    """Rises from above zero to the peak, then falls as a cosine and stays at 0."""
    return warmup_cosine(warmup_steps=warmup_steps, total_steps=total_steps)


def as_written(warmup_steps: int, total_steps: int) -> Schedule:
    """What the lesson's loop really uses: the full peak at step 0, then the warm-up.

    Its scheduler is stepped after the optimizer and sets no rate before, so the first update
    runs at the rate the optimizer was built with. Its cosine also rises again past the end.

    Formula: 1 for t = 0, t / W while t <= W, else (1 + cos(pi (t - W) / (T - W))) / 2.
    """

    def schedule(step: int) -> float:
        if step == 0:
            return 1.0
        if step <= warmup_steps:
            return step / warmup_steps
        progress = (step - warmup_steps) / (total_steps - warmup_steps)
        return (1 + math.cos(math.pi * progress)) / 2

    return schedule
