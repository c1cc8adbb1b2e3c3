"""The learning rate becomes the one that is usual for the optimizer."""

from __future__ import annotations

from typing import Any, Final

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._rating import set_rates
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
    """Every group of every optimizer, where the usual rate of all of them is known.

    None where no rate is more than a factor of two from the usual one.
    """
    usual = {
        id(group["params"]): USUAL.get(type(one).__name__)
        for one in optimizers_of(program)
        for group in one.param_groups
    }
    if None in usual.values() or _is_near(program, usual):
        return None
    set_rates(program, lambda group: usual[id(group["params"])])
    return program


def _is_near(program: Program, usual: dict[int, Any]) -> bool:
    return all(
        0.5 <= float(group.get("initial_lr", group["lr"])) / usual[id(group["params"])] <= 2
        for one in optimizers_of(program)
        for group in one.param_groups
    )


CHANGE = change(
    __name__, __doc__, text="the learning rate that is usual for the optimizer", size=1, apply=apply
)
