"""A window of poisoned batches in the middle of training: what is left of the run.

## What is tried
A network with batch norm and an average of its weights is trained on digits. In the middle of
the run come 5, 20 or 50 batches with one NaN pixel, or with pictures a million times too bright.
They are handled by a gradient clip alone; by a clip and the usual check that skips a loss which is
not finite; and by the guard. Every run sees all the good batches of the clean one.

## What is expected
Ours: skipping by hand is not enough, because the forward pass has already written into the running
statistics; under the guard the run ends with the bits of the clean run, with at most 1% of its
batches trained on once more.

## Source
Restarting before a spike and passing over 200 to 500 batches: Chowdhery et al. 2022 (PaLM), section
5.1. Running statistics that keep the NaN of a skipped step: pytorch issue 84053.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from steadytrain.core.experiment import Cell, Chart, Claim, Experiment, Series, Table
from steadytrain.lab.protocol import (
    LabResult,
    LabSettings,
    ProgressReport,
    experiment,
    no_progress,
)

if TYPE_CHECKING:
    from steadytrain.lab.poison.runs import Job, Record

TITLE = "Recovery from poisoned batches"
WINDOWS: Final = (5, 20, 50)
MAX_EXTRA: Final = 0.01
"""Share of the batches that may be trained on once more."""


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """Every way to handle poison is driven through every window of it.

    Args:
        settings: the embedded digits by default; the same settings give the same numbers.
        report_progress: called once per finished run.
        executor: for the single runs; `settings.jobs` processes of this machine if None.

    Raises:
        UsageError: the data folder cannot be read.
    """
    from steadytrain.lab.datasets import load
    from steadytrain.lab.sweep import executor_for, run_all

    jobs = all_jobs(settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        records = run_all(jobs, run_job, workers, report_progress, lambda job: job.name)
    data = load(settings.data)
    if jobs[0].max_images is not None:
        data = data.head(jobs[0].max_images, jobs[0].max_images)
    return LabResult(experiment=_experiment(records, data.line))


def run_job(job: Job) -> Record:
    """One run, in whichever process it was sent to."""
    return job.run()


def all_jobs(settings: LabSettings) -> list[Job]:
    """The clean run of every seed, then every way through every window."""
    from steadytrain.lab.poison.runs import BARE, POISONS, WAYS, Job

    seeds = settings.seeds or (1 if settings.quick else 3)
    steps = 60 if settings.quick else round(600 * (settings.epochs or 1.0))
    images = 300 if settings.quick else None
    plan = [(BARE, next(iter(POISONS)), 0)]
    plan += [(way, poison, window) for poison in POISONS for window in WINDOWS for way in WAYS]
    return [
        Job(
            way=way,
            poison=poison,
            window=window,
            seed=seed,
            steps=steps,
            data=settings.data,
            max_images=images,
        )
        for seed in range(seeds)
        for way, poison, window in plan
    ]


def _experiment(records: Sequence[Record], data_line: str) -> Experiment:
    import torch

    from steadytrain.lab.poison.runs import AVERAGE, BATCH_SIZE, RATE

    seeds = sorted({one.job.seed for one in records})
    machine = f"{platform.machine()}, {os.cpu_count()} CPU cores, one thread per run"
    settings: dict[str, Cell] = {
        "seeds": ", ".join(map(str, seeds)),
        "good batches": records[0].job.steps,
        "batch size": BATCH_SIZE,
        "optimizer": f"AdamW, learning rate {RATE:g}; weights averaged by {AVERAGE:g}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": machine,
    }
    claims = _claims(records)
    return Experiment(
        name="recovery",
        title=TITLE,
        summary=f"{claims[0].measured} {claims[1].measured}",
        data=data_line,
        settings=settings,
        claims=claims,
        tables=(_table(records),),
        charts=(_chart(records),),
    )


def _claims(records: Sequence[Record]) -> tuple[Claim, ...]:
    from steadytrain.lab.poison.runs import BY_HAND, GUARD

    clean = _clean(records)
    guarded, by_hand = _of(records, GUARD), _of(records, BY_HAND)
    equal = sum(one.digest == clean[one.job.seed].digest for one in guarded)
    extra = max(one.num_extra / one.job.steps for one in guarded)
    lost = sum(one.accuracy < clean[one.job.seed].accuracy - 0.05 for one in by_hand)
    return (
        Claim(
            question="Does a guarded run end as the run that never saw the poison?",
            expected="every weight, statistic and average is the same bits",
            measured=f"{equal} of {len(guarded)} guarded runs end with the bits of the clean run.",
            verdict="holds" if equal == len(guarded) else "contradicted",
        ),
        Claim(
            question="Is it enough to skip steps whose loss is not finite?",
            expected="no: the running statistics were written to already",
            measured=f"Skipped by hand, {lost} of {len(by_hand)} runs lose over 5% accuracy.",
            verdict="holds" if lost else "contradicted",
        ),
        Claim(
            question="What does recovery cost?",
            expected=f"at most {MAX_EXTRA:.0%} of the batches are trained on once more",
            measured=f"At most {extra:.1%} of the good batches came once more.",
            verdict="holds" if extra <= MAX_EXTRA else "contradicted",
            comment="The batch that is shown again to tell bad data from bad weights.",
        ),
    )


def _table(records: Sequence[Record]) -> Table:
    clean = _clean(records)
    rows: list[tuple[Cell, ...]] = []
    for one in records:
        own = one.job
        bits = "yes" if one.digest == clean[own.seed].digest else "no"
        what = (own.poison, own.window, own.way) if own.window else ("none", 0, own.way)
        finite = "yes" if one.is_finite else "no"
        numbers = (one.accuracy, one.average_accuracy, one.num_left_out, one.num_extra)
        rows.append((*what, own.seed, *numbers, finite, bits))
    columns = ("poison", "batches", "handled by", "seed", "accuracy", "accuracy of the average")
    further = ("steps left out", "batches once more", "finite", "bits of the clean run")
    return Table(title="Every run", columns=(*columns, *further), rows=tuple(rows))


def _chart(records: Sequence[Record]) -> Chart:
    from steadytrain.lab.poison.runs import POISONS, WAYS

    names = tuple(f"{poison}, {window}" for poison in POISONS for window in WINDOWS)
    series = [
        Series(
            name=way,
            x=names,
            y=tuple(
                _mean([o.accuracy for o in _of(records, way) if (o.job.poison, o.job.window) == at])
                for at in ((poison, window) for poison in POISONS for window in WINDOWS)
            ),
        )
        for way in WAYS
    ]
    title = "Test accuracy after the same number of good batches"
    return Chart(
        title=title,
        x_label="poison and batches",
        y_label="accuracy",
        series=tuple(series),
        kind="bar",
    )


def _clean(records: Sequence[Record]) -> dict[int, Record]:
    return {one.job.seed: one for one in records if not one.job.window}


def _of(records: Sequence[Record], way: str) -> list[Record]:
    return [one for one in records if one.job.way == way and one.job.window]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
