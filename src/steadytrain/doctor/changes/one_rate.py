"""All parameter groups of all optimizers get one rate: the lowest or the highest among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._rating import set_rates
from steadytrain.doctor.scene import Scene, optimizers_of


def apply(
    program: Program, _scene: Scene, *, choose: Callable[[Iterable[float]], float]
) -> Program | None:
    """A group whose rate is another's by mistake can no longer lead or lag."""
    rates = [
        float(group.get("initial_lr", group["lr"]))
        for one in optimizers_of(program)
        for group in one.param_groups
    ]
    if len(set(rates)) < 2 or not all(rate > 0 for rate in rates):
        return None
    rate = choose(rates)
    set_rates(program, lambda _group: rate)
    return program


CHANGES = (
    change(
        "lowest-rate-for-all",
        __doc__,
        text="every parameter group at the lowest of the learning rates",
        size=1,
        apply=partial(apply, choose=min),
    ),
    change(
        "highest-rate-for-all",
        __doc__,
        text="every parameter group at the highest of the learning rates",
        size=1,
        apply=partial(apply, choose=max),
    ),
)
