"""How large the experiment is, and the runs it consists of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from steadytrain.lab.clips.handlers import ON_SERIES, ROBUST, names
from steadytrain.lab.clips.series import NOISES, SeriesJob
from steadytrain.lab.clips.training import BATCH_SIZE, FAULTS, TrainingJob
from steadytrain.lab.protocol import LabSettings

Job = TrainingJob | SeriesJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A size of the experiment."""

    seeds: int
    epochs: float
    """Passes of the trained network over its images; the fault comes in the middle."""
    faults: tuple[str, ...]
    factors: tuple[float, ...]
    """Lasting rises of the norm."""
    variations: tuple[float, ...]
    """Variation of the healthy noise."""
    before: int
    after: int
    max_images: int | None = None


FULL: Final = Scale(
    seeds=3,
    epochs=18,
    faults=tuple(FAULTS),
    factors=(2.0, 3.0, 10.0),
    variations=(0.05, 0.1, 0.3, 0.5),
    before=500,
    after=2000,
)
"""400 steps on the embedded digits."""

QUICK: Final = Scale(
    seeds=2,
    epochs=1,
    faults=("none", "one NaN", "one tensor of 1e30"),
    factors=(2.0,),
    variations=(0.1,),
    before=120,
    after=150,
    max_images=768,
)
"""12 steps: everything is gone through, nothing is learnt."""


def scale_for(settings: LabSettings) -> Scale:
    """The size that `settings` ask for."""
    scale = QUICK if settings.quick else FULL
    return replace(
        scale,
        seeds=scale.seeds if settings.seeds is None else settings.seeds,
        epochs=scale.epochs if settings.epochs is None else settings.epochs,
    )


def jobs_of(scale: Scale, settings: LabSettings, num_images: int) -> list[Job]:
    """Every run: each handler through each fault, then the series of norms."""
    return [*_training_jobs(scale, settings, num_images), *_series_jobs(scale)]


def num_steps(scale: Scale, num_images: int) -> int:
    """Optimizer steps of a run; at least two, so that there is one after the fault."""
    return max(2, round(scale.epochs * num_images / BATCH_SIZE))


def _training_jobs(scale: Scale, settings: LabSettings, num_images: int) -> list[Job]:
    return [
        TrainingJob(
            handler=handler,
            fault=fault,
            seed=seed,
            steps=num_steps(scale, num_images),
            data=settings.data,
            max_images=scale.max_images,
        )
        for fault in scale.faults
        for handler in names()
        for seed in range(scale.seeds)
    ]


def _series_jobs(scale: Scale) -> list[Job]:
    series = partial(SeriesJob, before=scale.before, after=scale.after)
    rises = [
        series(handler=handler, factor=factor, seed=seed)
        for factor in scale.factors
        for handler in ON_SERIES
        for seed in range(scale.seeds)
    ]
    healthy = [
        series(handler=ROBUST, noise=noise, variation=variation, seed=seed)
        for noise in NOISES
        for variation in scale.variations
        for seed in range(scale.seeds)
    ]
    return [*rises, *healthy]
