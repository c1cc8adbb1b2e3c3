"""The learning rate becomes the one that is usual for the optimizer."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._rating import put_rates, set_rates
from steadytrain.doctor.scene import Scene, optimizers_of

USUAL: Final = {
    "Adam": 1e-3,
    "AdamW": 1e-3,
    "NAdam": 1e-3,
    "RAdam": 1e-3,
    "Adamax": 2e-3,
    "RMSprop": 1e-3,
    "Adagrad": 1e-2,
    "SGD": 1e-2,
}
"""Of small and middling networks; the defaults of `torch.optim`, and for SGD a tenth of He et al."""


def apply(program: Program, _scene: Scene) -> Program | None:
    """Every group of every optimizer whose usual rate is known."""
    rates = {id(one): USUAL.get(type(one).__name__) for one in optimizers_of(program)}
    if None in rates.values() or _is_near(program, rates):
        return None
    if program.step_fn is not None:
        return put_rates(program, partial(_usual, program.optimizer.__class__.__name__))
    rate = rates[id(program.optimizer)]
    set_rates(program, lambda _group: rate)
    return program


def _is_near(program: Program, rates: dict[int, Any]) -> bool:
    """Whether no rate is more than a factor of two from the usual one."""
    return all(
        0.5 <= float(group.get("initial_lr", group["lr"])) / rates[id(one)] <= 2
        for one in optimizers_of(program)
        for group in one.param_groups
    )


def _usual(kind: str, _program: Program, _group: object) -> float:
    return USUAL[kind]


CHANGE = change(
    __name__, __doc__, text="the learning rate that is usual for the optimizer", size=1, apply=apply
)
