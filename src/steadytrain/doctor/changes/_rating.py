"""Scaling the learning rates of a program, over whatever schedule it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch.optim import Optimizer

from steadytrain.core.program import Program
from steadytrain.doctor.changes._gradients import around_updates
from steadytrain.doctor.changes._wrapping import put_around_step
from steadytrain.doctor.scene import optimizers_of

Factor = Callable[[int], float]
"""Of the steps since the change was made."""


class ScaledSchedule:
    """The program's own schedule with every rate multiplied by a factor of the step.

    Args:
        optimizer: whose rates are scaled.
        inner: the schedule underneath, or None.
        factor: of the steps since now.
    """

    def __init__(self, optimizer: Optimizer, inner: Any, factor: Factor) -> None:
        self.optimizer, self.inner, self.factor = optimizer, inner, factor
        self.count = 0
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._scale()

    def step(self, *args: Any, **kwargs: Any) -> None:
        """The schedule underneath steps on the rates that it knows."""
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=False):
            group["lr"] = rate
        if self.inner is not None:
            self.inner.step(*args, **kwargs)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.count += 1
        self._scale()

    def get_last_lr(self) -> list[Any]:
        """The rates as they are used."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on."""
        inner = None if self.inner is None else self.inner.state_dict()
        return {"count": self.count, "rates": list(self._rates), "inner": inner}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """It goes on as it did after `state_dict`."""
        self.count, self._rates = state["count"], list(state["rates"])
        if self.inner is not None:
            self.inner.load_state_dict(state["inner"])
        self._scale()

    def _scale(self) -> None:
        factor = self.factor(self.count)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=False):
            group["lr"] = rate * factor


def scale_rates(program: Program, factor: Factor) -> Program:
    """Every rate of every optimizer is multiplied by a factor of the step.

    In a step that is the user's own, at the moment of the update, whoever set the rate.
    """
    if program.step_fn is None:
        program.scheduler = ScaledSchedule(program.optimizer, program.scheduler, factor)
        return program
    return put_rates(program, partial(_scaled, program.step, factor))


def put_rates(program: Program, rate: Callable[[Program, dict[str, Any]], Any]) -> Program:
    """At the moment of every update a group's rate is `rate(program, group)`."""
    put_around_step(program, partial(_with_rates, rate))
    return program


def set_rates(program: Program, rate: Callable[[dict[str, Any]], Any]) -> None:
    """Every group starts from `rate(group)`, and so does its schedule."""
    for optimizer in optimizers_of(program):
        for group in optimizer.param_groups:
            old = group.get("initial_lr", group["lr"])
            ratio = group["lr"] / old if float(old) else 1.0
            new = rate({**group, "lr": old})
            group["lr"] = new * ratio
            if "initial_lr" in group:
                group["initial_lr"] = new
    for schedule in schedules_of(program):
        if hasattr(schedule, "base_lrs"):
            groups = schedule.optimizer.param_groups
            schedule.base_lrs = [group.get("initial_lr", group["lr"]) for group in groups]


def schedules_of(program: Program) -> list[Any]:
    """The schedules of the program, that of `scheduler` first."""
    values = (program.scheduler, *program.extra.values())
    found = {id(one): one for one in values if hasattr(one, "get_last_lr") and hasattr(one, "step")}
    return list(found.values())


def _scaled(start: int, factor: Factor, program: Program, group: dict[str, Any]) -> Any:
    return group["lr"] * factor(max(0, program.step - start))


@contextmanager
def _with_rates(rate: Callable[[Program, dict[str, Any]], Any], program: Program) -> Iterator[None]:
    kept: dict[int, list[Any]] = {}

    def before(optimizer: Optimizer) -> None:
        kept[id(optimizer)] = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = rate(program, group)

    def after(optimizer: Optimizer) -> None:
        for group, old in zip(optimizer.param_groups, kept[id(optimizer)], strict=True):
            group["lr"] = old

    with around_updates(program, before, after):
        yield
