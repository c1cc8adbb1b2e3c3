"""Every kind of fault against loops that clip, scale or are guarded.

## What is tried
Five small loops (a convolutional network with batch norm and averaged weights, a character GPT, an
LSTM, an actor with a critic, a Wasserstein GAN with gradient penalty) are struck half-way by one
fault each: poisoned inputs and losses, activations, gradients, weights, moments, running
statistics, averages, learning rates. The faults come from outside, by hooks that know nothing of
who takes the steps: a bare loop, torch's clip by norm, a gradient scaler with that clip, the guard,
the guard with a seal on what is at rest.

## What is expected
Published: clipping and loss scaling keep a run alive. Ours: with the guard all weights, buffers and
averages are finite, the cost at the end is at most 1.05 of that of the same loop without the fault,
at most 2% of the steps are done again, and no run is given up.

## Source
Clipping by norm: Pascanu et al. 2013. Loss scaling: Micikevicius et al. 2018. Faults of memory and
of arithmetic in training clusters: Grattafiori et al. 2024, section 3.3.4.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from functools import partial
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
    from steadytrain.lab.guarding.one_run import Outcome
    from steadytrain.lab.guarding.plan import Scale

TITLE: Final = "Faults injected into guarded and unguarded loops"


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """Every fault struck every loop in the hands of every arm; finished runs are kept in `cells`.

    Args:
        settings: the data is embedded or drawn; `data` and `epochs` change nothing here.
        report_progress: called once per run.
        executor: for the runs; `settings.jobs` processes of this machine if None.
    """
    from steadytrain.lab.guarding.cells import kept_job
    from steadytrain.lab.guarding.plan import jobs_of, scale_for
    from steadytrain.lab.sweep import executor_for, run_all

    scale = scale_for(settings)
    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        work = partial(kept_job, folder=settings.out / "cells")
        outcomes = run_all(jobs_of(scale), work, workers, report_progress, lambda job: job.name)
    return LabResult(experiment=_experiment(outcomes, scale))


def _experiment(outcomes: Sequence[Outcome], scale: Scale) -> Experiment:
    from steadytrain.lab.guarding.arms import GUARD
    from steadytrain.lab.guarding.tables import arms_of, charts, claims, passed, tables

    def of(arm: str) -> str:
        return passed(one for one in outcomes if one.job.arm == arm)

    others = "; ".join(f"{arm}: {of(arm)}" for arm in arms_of(outcomes) if arm != GUARD)
    return Experiment(
        name="guard-faults",
        title=TITLE,
        summary=f"With the guard {of(GUARD)} runs end as without the fault; {others}.",
        data="embedded images of digits, sums written out, a corridor and drawn points",
        settings=_settings(scale, len({one.job.kind for one in outcomes})),
        claims=claims(outcomes),
        tables=tables(outcomes),
        charts=charts(outcomes),
    )


def _settings(scale: Scale, num_kinds: int) -> dict[str, Cell]:
    import torch

    from steadytrain.lab.guarding.arms import CLIP, SNAPSHOT_EVERY

    return {
        "seeds": ", ".join(str(seed) for seed in range(scale.seeds)),
        "steps": scale.steps,
        "kinds of fault": num_kinds,
        "clip": CLIP,
        "steps between the guard's snapshots": SNAPSHOT_EVERY,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} {platform.machine()} CPU cores",
    }
