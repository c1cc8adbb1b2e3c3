"""Every learning rate is multiplied by one factor; a schedule goes on underneath."""

from __future__ import annotations

from functools import partial

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._rating import scale_rates, set_rates
from steadytrain.doctor.scene import Scene


def apply(program: Program, _scene: Scene, *, factor: float) -> Program:
    """All groups of all optimizers alike."""
    if program.step_fn is not None:
        return scale_rates(program, partial(_constant, factor))
    set_rates(program, lambda group: group["lr"] * factor)
    return program


def _constant(factor: float, _step: int) -> float:
    return factor


CHANGES = tuple(
    change(name, __doc__, text=text, size=1, apply=partial(apply, factor=factor))
    for name, text, factor in (
        ("lr-third", "learning rate x 1/3", 1 / 3),
        ("lr-tenth", "learning rate x 1/10", 0.1),
        ("lr-hundredth", "learning rate x 1/100", 0.01),
        ("lr-thousandth", "learning rate x 1/1000", 0.001),
        ("lr-times-three", "learning rate x 3", 3.0),
        ("lr-times-ten", "learning rate x 10", 10.0),
        ("lr-times-hundred", "learning rate x 100", 100.0),
        ("lr-times-thousand", "learning rate x 1000", 1e3),
        ("lr-times-ten-thousand", "learning rate x 10000", 1e4),
    )
)
