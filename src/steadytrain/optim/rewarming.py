"""A schedule that ramps up again after a rollback or a restart, and then follows the inner one.

After a rollback the optimizer's moments are those of another place or empty, and the full rate
at once is a warm-up left out. The rate never exceeds the inner schedule's.

## Formula

With a = `at_step` and n = `steps`: t < a: s(t); a <= t < a + n: s(t) (t - a + 1) / (n + 1);
then s(t) again.

## Shape

A step, counted from 0, to one number.

## Dtype

Python's own float, 64 bits.

## Cost

The inner schedule's, and a copy of its few numbers.

## Source

The bolt-on warm-up of OLMo's training code (Groeneveld et al. 2024), as a pure function of the
step; its first step is above zero.

## Helps against

`missing-warmup`, `adam-beta2-too-high`
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._span import check_whole


class Rewarmed:
    """A schedule with a ramp in it; made by `rewarm`.

    `LambdaLR.state_dict` saves what is in `__dict__`: the place of the ramp and the numbers of
    the inner schedule, all of them plain. The inner schedule itself has a slot beside it.
    """

    __slots__ = ("__dict__", "_schedule")

    def __init__(self, schedule: Callable[[int], float], at_step: int, steps: int) -> None:
        self._schedule = schedule
        self.at_step = at_step
        self.steps = steps
        self.inner: dict[str, Any] = dict(getattr(schedule, "__dict__", {}))

    def __call__(self, step: int) -> float:
        """The multiplier of the base learning rate during optimizer step `step`, from 0 on."""
        ramp = 1.0
        if self.at_step <= step < self.at_step + self.steps:
            ramp = (step - self.at_step + 1) / (self.steps + 1)
        return ramp * self._restored()(step)

    def _restored(self) -> Callable[[int], float]:
        """The inner schedule with the numbers in `inner`, which a checkpoint may have brought."""
        schedule = copy.copy(self._schedule)
        if self.inner:
            vars(schedule).update(self.inner)
        return schedule


def rewarm(schedule: Callable[[int], float], at_step: int, steps: int) -> Rewarmed:
    """`schedule`, with the rate ramped up from `at_step` on over `steps` steps.

    A rewarmed schedule can be rewarmed again. Loading the scheduler state of the inner schedule,
    as after a restart from an older checkpoint, leaves the ramp where it is.

    Args:
        schedule: any function of the step.
        at_step: the step that training goes on from.
        steps: length of the ramp.

    Raises:
        UsageError: `schedule` is no function, or a number is no number of steps.

    Example:
        >>> import torch
        >>> from steadytrain.optim import warmup_constant
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        >>> schedule = warmup_constant(warmup_steps=0)
        >>> scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
        >>> back_to = 50
        >>> scheduler.lr_lambdas = [rewarm(f, back_to, 3) for f in scheduler.lr_lambdas]
        >>> scheduler.last_epoch = back_to - 1
        >>> for _ in range(5):
        ...     optimizer.step()
        ...     scheduler.step()
        ...     print(round(optimizer.param_groups[0]["lr"], 3))
        0.025
        0.05
        0.075
        0.1
        0.1
    """
    if not callable(schedule):
        msg = f"rewarm(schedule): got {type(schedule).__name__}, expected a function of the step"
        raise UsageError(f"{msg}: pass warmup_cosine(...) itself, not its value or a scheduler.")
    check_whole("at_step", at_step, 0, None)
    check_whole("steps", steps, 1, None)
    return Rewarmed(schedule, at_step, steps)


TECHNIQUE = technique(__name__, __doc__, exports=("rewarm",))
