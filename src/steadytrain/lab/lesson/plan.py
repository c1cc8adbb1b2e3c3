"""How large the comparison is, and the runs it consists of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from steadytrain.lab.lesson.one_run import RunJob
from steadytrain.lab.lesson.recipes import RECIPES
from steadytrain.lab.protocol import LabSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A size of the comparison."""

    epochs: float
    break_epochs: float
    """Length of the runs of the break test; at most `epochs` are used."""
    batch_size: int
    seeds: int
    break_seeds: int
    """Seeds per configuration and factor in the break test, unless the user chose a number."""
    factors: tuple[float, ...]
    """Factors on the peak rate in the break test, the first one 1."""
    max_images: int | None = None


DEMO: Final = Scale(
    epochs=6,
    break_epochs=6,
    batch_size=32,
    seeds=3,
    break_seeds=3,
    factors=(1.0, 3.0, 10.0, 30.0, 100.0),
)
"""The embedded digits: 75 runs of 270 steps."""

FULL: Final = replace(DEMO, epochs=1, break_epochs=1, batch_size=128, break_seeds=2)
"""A data set of MNIST's size: 55 runs of 469 steps."""

QUICK: Final = Scale(
    epochs=1,
    break_epochs=1,
    batch_size=64,
    seeds=2,
    break_seeds=2,
    factors=(1.0, 100.0),
    max_images=1024,
)
"""20 runs of 16 steps: everything is gone through, nothing is learnt."""


def scale_for(settings: LabSettings) -> Scale:
    """The size that `settings` ask for."""
    scale = QUICK if settings.quick else DEMO if settings.data is None else FULL
    epochs = scale.epochs if settings.epochs is None else settings.epochs
    seeds = scale.seeds if settings.seeds is None else settings.seeds
    return replace(
        scale,
        epochs=epochs,
        break_epochs=min(epochs, scale.break_epochs),
        seeds=seeds,
        break_seeds=scale.break_seeds if settings.seeds is None else seeds,
    )


def main_jobs(scale: Scale, settings: LabSettings) -> list[RunJob]:
    """One run per configuration and seed; the first seed of each is watched."""
    return [
        replace(job, run_dir=run_dir_of(settings.out, job.recipe) if job.seed == 0 else None)
        for job in _grid(scale, settings, (1.0,), scale.epochs, scale.seeds)
    ]


def break_jobs(scale: Scale, settings: LabSettings) -> list[RunJob]:
    """The runs of the break test that the main runs do not contain already."""
    is_contained = scale.break_epochs == scale.epochs
    factors = scale.factors[1:] if is_contained else scale.factors
    return _grid(scale, settings, factors, scale.break_epochs, scale.break_seeds)


def run_dir_of(out: Path, name: str) -> Path:
    """A free folder for a watched run: `all tricks` -> `all-tricks`, the next time `-2`.

    What an earlier call of the experiment left in `out` stays as it is.
    """
    words = "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
    numbered = (f"{words}-{number}" if number > 1 else words for number in itertools.count(1))
    return next(out / folder for folder in numbered if not (out / folder).exists())


def _grid(
    scale: Scale,
    settings: LabSettings,
    factors: Sequence[float],
    epochs: float,
    num_seeds: int,
) -> list[RunJob]:
    return [
        RunJob(
            recipe=recipe,
            seed=seed,
            epochs=epochs,
            batch_size=scale.batch_size,
            rate_factor=factor,
            data=settings.data,
            max_images=scale.max_images,
        )
        for factor in factors
        for recipe in RECIPES
        for seed in range(num_seeds)
    ]
