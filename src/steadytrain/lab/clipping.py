"""Clips under faults: which of them protect, which freeze, which never let go.

## What is tried
A small residual network with zero-initialised branches is trained on digits while one fault hits
its gradients: a NaN, an infinity, a tensor of 1e30, one spike, five spikes. Between backward and
step stand fixed clips by value and norm, AGC, a percentile, RobustClip, and ZClip, AdaGC and
composer's AGC by their published formulas (AdaGC also as a package ships it, where installed).
Then the clips that judge a norm get series of norms alone: healthy noise of several kinds, and
a norm that doubles, trebles or grows tenfold for good.

## What is expected
Published: adaptive clips beat a fixed norm on spikes. Ours: one NaN destroys every run whose clip
only scales; clips that remember what they clipped never accept a new level; thresholds without a
floor freeze layers that begin with a gradient of zero; RobustClip does none of this.

## Source
ZClip: Kumar et al. 2025. AdaGC: Wang et al. 2025. AGC: Brock et al. 2021. AutoClip: Seetharaman et
al. 2020. Spikes of x1000: Huang et al. 2025 (SPAM). Clipping by norm: Pascanu et al. 2013.
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
    from steadytrain.lab.clips.plan import Job, Scale
    from steadytrain.lab.clips.results import Results
    from steadytrain.lab.clips.series import SeriesRecord
    from steadytrain.lab.clips.training import TrainingRecord

TITLE = "Gradient clips under faults"


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """Every clip is driven through every fault and every series.

    Args:
        settings: the embedded digits by default; the same settings give the same numbers.
        report_progress: called once per finished run.
        executor: for the single runs; `settings.jobs` processes of this machine if None.

    Raises:
        UsageError: the data folder cannot be read.
    """
    from steadytrain.lab.clips.plan import jobs_of, num_steps, scale_for
    from steadytrain.lab.clips.results import Results
    from steadytrain.lab.datasets import load
    from steadytrain.lab.sweep import executor_for, run_all

    data, scale = load(settings.data), scale_for(settings)
    if scale.max_images is not None:
        data = data.head(scale.max_images, scale.max_images)
    settings.out.mkdir(parents=True, exist_ok=True)
    num_images = len(data.train_images)
    jobs = jobs_of(scale, settings, num_images)
    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        records = run_all(jobs, run_job, workers, report_progress, lambda job: job.name)
    results = Results.of(records, scale)
    return LabResult(
        experiment=_experiment(results, data.line, _settings(scale, num_steps(scale, num_images)))
    )


def run_job(job: Job) -> TrainingRecord | SeriesRecord:
    """One run, in whichever process it was sent to."""
    return job.run()


def _experiment(results: Results, data_line: str, settings: dict[str, Cell]) -> Experiment:
    from steadytrain.lab.clips.claims import claims
    from steadytrain.lab.clips.tables import charts, tables

    held = claims(results)
    return Experiment(
        name="clipping",
        title=TITLE,
        summary=_summary(results),
        data=f"{data_line}; synthetic series of gradient norms",
        settings=settings,
        claims=held,
        tables=tables(results),
        charts=charts(results),
    )


def _summary(results: Results) -> str:
    from steadytrain.lab.clips.handlers import ROBUST

    lost = [
        handler
        for handler in results.handlers
        if not all(run.is_finite for run in results.runs(handler, "one NaN"))
    ]
    shares = [one.clipped_after for f in results.scale.factors for one in results.rises(ROBUST, f)]
    return (
        f"One NaN in the gradients destroys {len(lost)} of {len(results.handlers)} clips' runs. "
        f"After a lasting rise of the norm RobustClip clips at most {max(shares):.1%} of "
        f"{results.scale.after:,} steps."
    )


def _settings(scale: Scale, steps: int) -> dict[str, Cell]:
    import torch

    from steadytrain.lab.clips.training import BATCH_SIZE, RATE

    return {
        "seeds": ", ".join(str(seed) for seed in range(scale.seeds)),
        "epochs": scale.epochs,
        "steps": steps,
        "batch size": BATCH_SIZE,
        "optimizer": f"AdamW, learning rate {RATE:g}, no decay",
        "steps of a series": f"{scale.before} before the rise, {scale.after} after it",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, one thread per run",
    }
