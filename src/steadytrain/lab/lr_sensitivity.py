"""How much the learning rate matters to a small character GPT, and which recipe makes it matter less.

## What is tried
The same small GPT at seven peak rates, 3e-4 to 3e-1, under several seeds: the plain pre-LN
baseline, then with qk-norm, z-loss, a cap on the logits and zero outputs, as a recipe whose
matrices are scale-free, and as x-transformers builds it where that is installed. Sensitivity is
the mean over the rates of the final validation loss minus the lowest; regret is the same mean
minus the lowest of any configuration.

## What is expected
The paper: qk-norm and z-loss lower the sensitivity, so that small models reach similar losses over
orders of magnitude of the rate. Ours: the recipe lowers sensitivity by at least 60% and regret by
at least 70% against the baseline, without a worse best loss, and beats x-transformers' presets.

## Source
Wortsman et al. 2023, Small-scale proxies for large-scale Transformer training instabilities
(metric, range of rates, baseline). Henry et al. 2020 (qk-norm). Chowdhery et al. 2022 (z-loss).
Salimans & Kingma 2016, section 2.1 (why a free scale makes the rate matter less). Karpathy 2015
(Tiny Shakespeare).
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
    from steadytrain.lab.lr.curves import Curves
    from steadytrain.lab.lr.one_run import RunJob
    from steadytrain.lab.lr.plan import Scale

TITLE = "Sensitivity to the learning rate"


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """Every configuration is trained at every rate under every seed.

    Args:
        settings: generated text by default; with a data folder, its `input.txt`.
        report_progress: called once per finished run.
        executor: for the single runs; `settings.jobs` processes of this machine if None.

    Raises:
        UsageError: the data folder cannot be read.
    """
    from steadytrain.lab.lr.curves import Curves
    from steadytrain.lab.lr.one_run import run_job
    from steadytrain.lab.lr.plan import jobs, scale_for
    from steadytrain.lab.lr.text import load_text
    from steadytrain.lab.sweep import executor_for, run_all

    text = load_text(settings.data)
    scale = scale_for(settings, text)
    settings.out.mkdir(parents=True, exist_ok=True)
    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        records = run_all(jobs(scale, settings), run_job, workers, report_progress, _name)
    return LabResult(experiment=_experiment(Curves.of(records), scale, text.line))


def _experiment(curves: Curves, scale: Scale, data_line: str) -> Experiment:
    from steadytrain.lab.lr.claims import claims
    from steadytrain.lab.lr.tables import charts, tables

    return Experiment(
        name="lr-sensitivity",
        title=TITLE,
        summary=_summary(curves),
        data=data_line,
        settings=_settings(scale),
        claims=claims(curves),
        tables=tables(curves),
        charts=charts(curves),
    )


def _summary(curves: Curves) -> str:
    from statistics import fmean

    from steadytrain.lab.lr.arms import BASELINE, RECIPE
    from steadytrain.lab.lr.curves import saved_share

    saved = [
        100 * fmean(saved_share(quantity(RECIPE), quantity(BASELINE)))
        for quantity in (curves.sensitivity, curves.regret)
    ]
    best = [fmean(curves.best(name)) for name in (RECIPE, BASELINE)]
    return (
        f"Against the pre-LN baseline the recipe lowers the sensitivity to the learning rate by "
        f"{saved[0]:.0f}% and the common-best regret by {saved[1]:.0f}%; its best loss is "
        f"{best[0]:.3f}, the baseline's {best[1]:.3f}."
    )


def _settings(scale: Scale) -> dict[str, Cell]:
    import torch

    from steadytrain.lab.lr.one_run import BATCH_SIZE, WARMUP_SHARE
    from steadytrain.lab.lr.tables import rate_name

    size = scale.size
    return {
        "seeds": ", ".join(str(seed) for seed in range(scale.seeds)),
        "steps": scale.num_steps,
        "peak learning rates": ", ".join(map(rate_name, scale.rates)),
        "schedule": f"linear warm-up over {WARMUP_SHARE:.0%} of the steps, cosine to 0",
        "batch": f"{BATCH_SIZE} sequences of {size.context} characters",
        "model": f"{size.layers} layers of width {size.width}, {size.heads} heads",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, one thread per run",
    }


def _name(job: RunJob) -> str:
    return f"{job.arm}, learning rate {job.rate:g}, seed {job.seed}"
