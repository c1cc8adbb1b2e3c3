"""The schedule of the learning rate is replaced: none, or one that ramps up and falls once."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._rating import (
    Factor,
    ScaledSchedule,
    put_rates,
    schedules_of,
)
from steadytrain.doctor.scene import Scene, optimizers_of


def constant(program: Program, scene: Scene) -> Program | None:
    """The rate stays where its schedule would start it."""
    return _replaced(program, scene, _one) if _is_scheduled(program, scene) else None


def cosine(program: Program, scene: Scene) -> Program | None:
    """A ramp over the first twentieth, then a cosine to a tenth at the observed run's end."""
    return _replaced(program, scene, partial(_cosine, max(2, scene.steps)))


def _replaced(program: Program, scene: Scene, factor: Factor) -> Program:
    for optimizer in optimizers_of(program):
        for group in optimizer.param_groups:
            group["lr"] = _base(group, scene)
            group.pop("initial_lr", None)
    if program.step_fn is None:
        program.scheduler = None if factor is _one else _over(program, factor)
        return program
    bases = {id(group): group["lr"] for one in optimizers_of(program) for group in one.param_groups}
    order = list(bases.values())
    return put_rates(program, partial(_rate, order, program.step, factor))


def _over(program: Program, factor: Factor) -> ScaledSchedule:
    return ScaledSchedule(program.optimizer, None, factor)


def _rate(order: list[Any], start: int, factor: Factor, program: Program, group: Any) -> Any:
    groups = [one for o in optimizers_of(program) for one in o.param_groups]
    place = next(index for index, one in enumerate(groups) if one is group)
    return order[min(place, len(order) - 1)] * factor(max(0, program.step - start))


def _base(group: dict[str, Any], scene: Scene) -> Any:
    """The rate before the schedule's factor; the highest one seen where it starts at zero."""
    base = group.get("initial_lr", group["lr"])
    if float(base) > 0:
        return base
    seen = _rates_seen(scene)
    return float(seen.max()) if len(seen) else base


def _is_scheduled(program: Program, scene: Scene) -> bool:
    if schedules_of(program):
        return True
    rates = scene.history.window("learning_rate") if "learning_rate" in scene.history else None
    columns = [] if rates is None else [one[np.isfinite(one)] for one in rates.T]
    return any(len(one) > 0 and bool(one.max() > one.min()) for one in columns)


def _rates_seen(scene: Scene) -> np.ndarray[Any, Any]:
    if "learning_rate" not in scene.history:
        return np.empty(0)
    rates = scene.history.window("learning_rate")
    return rates[np.isfinite(rates)]


def _one(_step: int) -> float:
    return 1.0


def _cosine(steps: int, step: int) -> float:
    ramp = max(1, steps // 20)
    if step < ramp:
        return (step + 1) / ramp
    share = min(1.0, (step - ramp) / max(1, steps - ramp))
    return 0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * share))


CHANGES = (
    change(
        "constant-schedule",
        __doc__,
        text="constant learning rate instead of the schedule",
        size=1,
        apply=constant,
    ),
    change(
        "cosine-schedule",
        __doc__,
        text="one ramp and one cosine over the run instead of the schedule",
        size=1,
        apply=cosine,
    ),
)
