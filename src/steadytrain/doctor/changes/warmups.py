"""The rate begins low and rises to its value; what schedule there is goes on underneath."""

from __future__ import annotations

from functools import partial

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._rating import scale_rates
from steadytrain.doctor.scene import Scene


def apply(program: Program, scene: Scene, *, share: float) -> Program:
    """A linear ramp over a share of the observed run."""
    return scale_rates(program, partial(_ramp, max(2, round(share * scene.steps))))


def _ramp(steps: int, step: int) -> float:
    return min(1.0, (step + 1) / steps)


CHANGES = (
    change(
        "warmup",
        __doc__,
        text="warm up over the first tenth of the steps",
        size=1,
        apply=partial(apply, share=0.1),
    ),
    change(
        "warmup-long",
        __doc__,
        text="warm up over the first half of the steps",
        size=1,
        apply=partial(apply, share=0.5),
    ),
)
