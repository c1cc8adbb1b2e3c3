"""What networks of several widths compute after a few steps, and whether their best rate moves.

## What is tried
An MLP (Adam, SGD) and a small transformer (Adam) at widths that double three times, trained for
a few steps at one learning rate: in the usual parametrisation, and with muP groups whose base is
the narrowest. The size of every layer's output is compared from width to width. Then the MLP is
trained at nine rates per width in both.

## What is expected
In the usual parametrisation outputs grow with the width, so that the best rate falls. With muP
they stay within a factor of two, and the rate that is best at the narrowest width is within a
factor of two of the best at the widest.

## Source
Yang et al. 2022 (Tensor Programs V), figure 1 (the best rate by width) and appendix D.1 (the
coordinate check).
"""

from __future__ import annotations

import os
import platform
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from steadytrain.core.experiment import Cell, Experiment
from steadytrain.lab.protocol import (
    LabResult,
    LabSettings,
    ProgressReport,
    experiment,
    no_progress,
)

if TYPE_CHECKING:
    from steadytrain.lab.width.findings import Findings
    from steadytrain.lab.width.one_run import WidthJob

TITLE: Final = "One learning rate for every width"

CHECKED: Final = (("MLP", "Adam", 0.01), ("MLP", "SGD", 1.0), ("transformer", "Adam", 0.01))
"""Network, optimizer and learning rate: large enough that a step is seen beside the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How wide the networks are and how long they train."""

    widths: tuple[int, ...]
    check_steps: int
    train_steps: int
    batch_size: int
    rates: tuple[float, ...]
    seeds: int


FULL: Final = Size(
    widths=(64, 128, 256, 512),
    check_steps=5,
    train_steps=100,
    batch_size=64,
    rates=tuple(2.0**power for power in range(-13, -4)),
    seeds=3,
)
QUICK: Final = Size(
    widths=(16, 32), check_steps=1, train_steps=2, batch_size=16, rates=(2.0**-10, 2.0**-6), seeds=2
)


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """The checks and the trainings were run; no run directory is written.

    Args:
        settings: the embedded digits by default; `epochs` has no meaning here.
        report_progress: called once per check and training.
        executor: for the single runs; `settings.jobs` processes of this machine if None.

    Raises:
        UsageError: the data folder cannot be read.
    """
    from steadytrain.lab.datasets import load
    from steadytrain.lab.sweep import executor_for, run_all
    from steadytrain.lab.width.findings import Findings
    from steadytrain.lab.width.one_run import run_width

    size = QUICK if settings.quick else FULL
    num_seeds = size.seeds if settings.seeds is None else settings.seeds
    data_line = load(settings.data).line
    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        jobs = [*_checks(size, settings, num_seeds), *_trainings(size, settings, num_seeds)]
        records = run_all(jobs, run_width, workers, report_progress, _name)
    found = Findings.of_records(records)
    return LabResult(experiment=_experiment(found, size, data_line, num_seeds))


def _checks(size: Size, settings: LabSettings, num_seeds: int) -> list[WidthJob]:
    from steadytrain.lab.width.networks import PARAMETRIZATIONS
    from steadytrain.lab.width.one_run import WidthJob

    return [
        WidthJob(
            network=network,
            optimizer=optimizer,
            parametrization=parametrization,
            rate=rate,
            seed=seed,
            widths=size.widths,
            steps=size.check_steps,
            batch_size=size.batch_size,
            data=settings.data,
        )
        for network, optimizer, rate in CHECKED
        for parametrization in PARAMETRIZATIONS
        for seed in range(num_seeds)
    ]


def _trainings(size: Size, settings: LabSettings, num_seeds: int) -> list[WidthJob]:
    from steadytrain.lab.width.networks import PARAMETRIZATIONS
    from steadytrain.lab.width.one_run import WidthJob

    return [
        WidthJob(
            network="MLP",
            optimizer="Adam",
            parametrization=parametrization,
            rate=rate,
            seed=seed,
            widths=(size.widths[0], width),
            steps=size.train_steps,
            batch_size=size.batch_size,
            data=settings.data,
            trains=True,
        )
        for parametrization in PARAMETRIZATIONS
        for width in size.widths
        for rate in size.rates
        for seed in range(num_seeds)
    ]


def _experiment(found: Findings, size: Size, data_line: str, num_seeds: int) -> Experiment:
    from steadytrain.lab.width.pictures import charts, claims, tables

    return Experiment(
        name="coordinate-check",
        title=TITLE,
        summary=_summary(found),
        data=data_line,
        settings=_settings(size, num_seeds),
        claims=claims(found),
        tables=tables(found),
        charts=charts(found),
    )


def _summary(found: Findings) -> str:
    from steadytrain.lab.width.networks import PARAMETRIZATIONS

    worst = {
        one: max(max(found.worst_growth(setting, one)) for setting in found.settings)
        for one in PARAMETRIZATIONS
    }
    growth = ", ".join(f"{one} x{value:.2g}" for one, value in worst.items())
    first, last = found.widths[0], found.widths[-1]
    return f"The most that any layer's output grows from width {first} to {last}: {growth}."


def _settings(size: Size, num_seeds: int) -> dict[str, Cell]:
    import torch

    return {
        "seeds": ", ".join(str(seed) for seed in range(num_seeds)),
        "widths": ", ".join(map(str, size.widths)),
        "steps of a check": size.check_steps,
        "steps of a training": size.train_steps,
        "batch size": size.batch_size,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, one thread per run",
    }


def _name(job: WidthJob) -> str:
    what = f"width {job.widths[-1]}, rate {job.rate:.2g}" if job.trains else "check"
    return f"{job.network}, {job.optimizer}, {job.parametrization}, {what}, seed {job.seed}"
