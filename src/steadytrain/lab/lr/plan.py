"""How large the comparison is, and the runs it consists of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from steadytrain.lab.lr.arms import arms
from steadytrain.lab.lr.char_gpt import Size
from steadytrain.lab.lr.one_run import BATCH_SIZE, RunJob
from steadytrain.lab.lr.text import CharText
from steadytrain.lab.protocol import LabSettings

RATES: Final = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""Peak rates, evenly spread in their logarithm as nearly as round numbers are: Wortsman's range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A size of the comparison."""

    num_steps: int
    seeds: int
    rates: tuple[float, ...]
    size: Size


FULL: Final = Scale(num_steps=400, seeds=3, rates=RATES, size=Size())
"""21 runs of 400 steps per configuration, about eight seconds of a processor each."""

QUICK: Final = Scale(
    num_steps=3, seeds=2, rates=(1e-3, 1e-1), size=Size(width=16, layers=1, heads=2, context=8)
)
"""Everything is gone through, nothing is learnt."""


def scale_for(settings: LabSettings, text: CharText) -> Scale:
    """The size that `settings` ask for."""
    scale = QUICK if settings.quick else FULL
    num_steps = scale.num_steps
    if settings.epochs is not None:
        characters = BATCH_SIZE * scale.size.context
        num_steps = max(2, round(settings.epochs * len(text.train) / characters))
    return replace(scale, num_steps=num_steps, seeds=settings.seeds or scale.seeds)


def jobs(scale: Scale, settings: LabSettings) -> list[RunJob]:
    """One run per configuration, rate and seed."""
    return [
        RunJob(
            arm=arm,
            rate=rate,
            seed=seed,
            num_steps=scale.num_steps,
            data=settings.data,
            size=scale.size,
        )
        for seed in range(scale.seeds)
        for rate in scale.rates
        for arm in arms()
    ]
