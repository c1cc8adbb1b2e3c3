"""The lesson's stability cookbook on real data: four configurations, measured instead of told.

## What is tried
A small convolutional network with no tricks, batch norm, GroupNorm(1, C) (which the lesson calls
layernorm) and all tricks together, under several seeds; the last one also as the lesson's code is
written, with its defects. Then the break test: the same at 3, 10, 30 and 100 times the learning
rate. Gradient norms are taken before clipping, and after it beside them.

## What is expected
The lesson's own table: each trick lowers the loss, all of them together lower it most, the
gradient norm becomes "very stable", and a learning rate times 100 breaks only the network without
tricks. Norms that are logged after clipping and a warm-up that misses the first update are
expected to be artefacts of its code.

## Source
The lesson's table (five epochs of MNIST, Adam 0.001, batch 128, no seeds, no spread). Batch norm:
Ioffe & Szegedy 2015. GroupNorm: Wu & He 2018. He initialisation: He et al. 2015. Clipping:
Pascanu et al. 2013. Decoupled weight decay: Loshchilov & Hutter 2019.
"""

from __future__ import annotations

import os
import platform
from concurrent.futures import Executor
from contextlib import nullcontext
from typing import TYPE_CHECKING

from steadytrain.core.experiment import Cell, Experiment
from steadytrain.lab.protocol import (
    LabResult,
    LabSettings,
    ProgressReport,
    experiment,
    no_progress,
)

if TYPE_CHECKING:
    from steadytrain.lab.lesson.one_run import RunJob, RunRecord
    from steadytrain.lab.lesson.plan import Scale
    from steadytrain.lab.lesson.results import Results

TITLE = "Four configurations of one small network"


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """The comparison and the break test are run; the first seed of each is watched.

    Args:
        settings: the embedded digits by default; the same settings give the same numbers.
        report_progress: called once per finished run.
        executor: for the single runs; `settings.jobs` processes of this machine if None.

    Raises:
        UsageError: the data folder cannot be read.
    """
    from steadytrain.lab.datasets import load
    from steadytrain.lab.lesson.one_run import run_job
    from steadytrain.lab.lesson.plan import break_jobs, main_jobs, scale_for
    from steadytrain.lab.lesson.results import Results
    from steadytrain.lab.sweep import executor_for, run_all

    data = load(settings.data)
    scale = scale_for(settings)
    if scale.max_images is not None:
        data = data.head(scale.max_images, scale.max_images)
    settings.out.mkdir(parents=True, exist_ok=True)
    compared, broken = main_jobs(scale, settings), break_jobs(scale, settings)
    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        records = run_all([*compared, *broken], run_job, workers, report_progress, _name)
    count = len(compared)
    results = Results.of(records[:count], records[count:], scale.factors)
    return LabResult(
        experiment=_experiment(results, scale, data.line, data.name),
        run_dirs=[record.run_dir for record in records if record.run_dir is not None],
    )


def _experiment(results: Results, scale: Scale, data_line: str, data_name: str) -> Experiment:
    from steadytrain.lab.lesson.charts import charts
    from steadytrain.lab.lesson.claimed_table import table_claims
    from steadytrain.lab.lesson.claims import claims
    from steadytrain.lab.lesson.tables import tables

    held = (*claims(results), *table_claims(results, data_name, scale.epochs))
    return Experiment(
        name="cookbook",
        title=TITLE,
        summary=_summary(results, scale),
        data=data_line,
        settings=_settings(results, scale),
        claims=held,
        tables=tables(results),
        charts=charts(results),
    )


def _summary(results: Results, scale: Scale) -> str:
    from steadytrain.lab.lesson.results import CORRECTED, final_loss

    best = results.ranking(final_loss)[0]
    margins = ", ".join(
        f"{name} {'none' if margin is None else f'x{margin:g}'}"
        for name in CORRECTED
        for margin in [results.safety_margin(name)]
    )
    return (
        f"After {scale.epochs:g} {'epoch' if scale.epochs == 1 else 'epochs'}, {best} has the "
        f"lowest training loss. Learning rates that still converge in every seed: {margins}."
    )


def _settings(results: Results, scale: Scale) -> dict[str, Cell]:
    import torch

    from steadytrain.lab.lesson.recipes import PEAK_RATE

    record: RunRecord = next(iter(results.main.values()))[0]
    return {
        "seeds": ", ".join(str(seed) for seed in range(scale.seeds)),
        "epochs": scale.epochs,
        "steps": record.num_steps,
        "batch size": scale.batch_size,
        "peak learning rate": PEAK_RATE,
        "break test factors": ", ".join(f"{factor:g}" for factor in scale.factors),
        "break test epochs": scale.break_epochs,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, one thread per run",
    }


def _name(job: RunJob) -> str:
    return f"{job.recipe}, learning rate x{job.rate_factor:g}, seed {job.seed}"
