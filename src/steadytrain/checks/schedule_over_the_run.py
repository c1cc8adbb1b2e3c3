"""The learning-rate schedule does what nobody means.

## What it does
Steps a copy of the scheduler thousands of times without training and reads the rates.

## Why it matters
A decay for epochs that is stepped per batch is over before the first pass is; a cosine that is too
short climbs back; a warmup counted in samples never ends. The loss curve shows none of it as an
error.

## Passes when
The rate rises to a peak and falls in one of the usual ways: line, cosine, staircase, exponential,
restarts, cycles.

## Fails when
The rate is negative or not finite; falls by more than fifty or leaps above all earlier rates by more
than twenty in one step; climbs the same ramp over and over; is a thousandth of its peak by factors
before the first pass over the data is over, or within fifty steps; climbs back slowly from zero twice within 300 steps; or
is not half of what was given after ten thousand steps and fifty passes.

## What to do
The message says which. Step the schedule once per optimizer step or once per epoch, and give it its
length in the same unit.

## Source
PyTorch's documentation of `torch.optim.lr_scheduler`: what is stepped when is left to the loop.
"""

from __future__ import annotations

import warnings
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._schedule_shape import ENDLESS, Rates, oddities
from steadytrain.checks._steps import steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed


@check(code="OPT254", causes=("lr-schedule-wrong", "lr-too-high"), stage="optimizer")
@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOverTheRun:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        scheduler = scene.program.scheduler
        if scheduler is None:
            return not_applicable(self, "no scheduler")
        if scene.has_own_step and not _is_stepped_each_time(scene):
            return not_applicable(self, "step_fn does not step the scheduler once per step")
        epoch = _num_batches(scene)
        rates, base = _rates(scene, ENDLESS if epoch and epoch * 50 <= ENDLESS else 1000)
        near = rates[: max(200, 4 * (epoch or 50))]
        odd = next(iter(oddities(near, base, epoch)), None)
        odd = odd or next((one for one in oddities(rates, base, epoch) if one.kind == "endless-warmup"), None)  # fmt: skip
        seen = f"{number(near[0])} first, {number(near.max())} at its peak, {number(near[-1])} at step {len(near)}"
        if odd is None:
            return passed(self, seen, near.max())
        return failed(
            self,
            seen,
            near.max(),
            findings=[
                finding(
                    self,
                    f"{odd.message[0].upper()}{odd.message[1:]}.",
                    causes=odd.causes,
                    evidence={"kind": odd.kind, "step": odd.step, "rate": base},
                )
            ],
        )


def _is_stepped_each_time(scene: Scene) -> bool:
    counts = scene.once(steps_of).schedule_counts
    return len(counts) > 2 and bool((np.diff(counts) == 1).all())


def _num_batches(scene: Scene) -> int | None:
    batches = scene.program.batches
    try:
        number_of = len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # a DataLoader over a stream has a __len__ that raises
        return None
    return None if number_of is None else max(1, number_of // scene.program.accumulate)


def _rates(scene: Scene, steps: int) -> tuple[Rates, float]:
    """The highest rate of any group at every step, and the highest that was given."""
    with scene.trial() as trial, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no optimizer was stepped before is intended
        optimizer, scheduler = trial.program.optimizer, trial.program.scheduler
        groups: list[dict[str, Any]] = optimizer.param_groups
        base = max(float(group.get("initial_lr", group["lr"])) for group in groups)
        rates: list[float] = []
        for _ in range(steps):
            rates.append(max(float(group["lr"]) for group in groups))
            try:
                scheduler.step()
            except TypeError as error:  # one that waits for a metric
                raise Unseen("the scheduler needs a metric to step") from error
            except Exception:  # some schedulers, OneCycleLR among them, raise at their end
                break
    if len(rates) < 3:
        raise Unseen("the scheduler ends at once")
    return np.asarray(rates), base
