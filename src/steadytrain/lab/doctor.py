"""What the doctor says of every planted fault and of every healthy program, and at which cost.

## What is tried
Each fault of the lab is planted in a small healthy program; beside them stand healthy programs
without a fault, and the controls, which are healthy and look suspicious. The doctor is asked about
each, with its preflight, its trials and its default budget. It is told nothing of the fault. Half of
the programs were looked at while limits were chosen; the other half, of other architectures and
seeds, is only scored. Then the fix is applied and trained beside the faulty program's healthy twin.

## What is expected
Ours: the right cause is first in 90% and among three in 98%, the place is right in 95%, 80% of the
right verdicts are proven by a trial, 90% of the fixes restore training; healthy is said of 98% of the healthy programs, and a cause is
proven of none; confidence is calibrated to 0.1; at most 12 times the steps of the observed run, 6 in
the median.

## Source
The faults are those of the fault lab. The best academic tool names the fault with a recall of 0.55
at a precision of 0.37 (Humbatova et al. 2025, on programs of its own).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from steadytrain.core.experiment import Experiment
from steadytrain.lab.protocol import (
    LabResult,
    LabSettings,
    ProgressReport,
    experiment,
    no_progress,
)

if TYPE_CHECKING:
    from steadytrain.lab.doctoring.examining import Examination
    from steadytrain.lab.doctoring.verdicts import Verdict

TITLE: Final = "The doctor on planted faults and healthy programs"
TEXT: Final = "Tiny Shakespeare and drawn tables"
PARTS: Final = {False: "looked at", True: "only scored"}
"""The halves of the programs, by whether nobody looked at them while limits were chosen."""


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """The doctor was asked about every program; no run directory is written.

    A verdict is kept in `settings.out` until the doctor changes: an interrupted experiment goes
    on where it was.

    Args:
        settings: `seeds` in each half is 1 unless more are asked for; `quick` takes one fault, its
            twin and one control.
        report_progress: called once per program.
        executor: for the programs; `settings.jobs` processes of this machine if None.
    """
    from steadytrain.lab.doctoring.examining import Examination, examine
    from steadytrain.lab.doctoring.plan import all_jobs
    from steadytrain.lab.sweep import executor_for, run_all

    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        jobs = all_jobs(settings.seeds or 1, settings.data, is_quick=settings.quick)
        asked = [Examination(job=job, folder=settings.out / "verdicts") for job in jobs]
        verdicts = run_all(asked, examine, workers, report_progress, _name)
    return LabResult(experiment=experiment_of(verdicts, settings, len(jobs)))


def _name(asked: Examination) -> str:
    from steadytrain.lab.doctoring.plan import name_of

    return name_of(asked.job)


def experiment_of(verdicts: Sequence[Verdict], settings: LabSettings, num_asked: int) -> Experiment:
    """What the verdicts come to; says so where they are fewer than were to be asked for."""
    import os
    import platform

    import torch

    from steadytrain.lab.doctoring.examining import doctors_digest
    from steadytrain.lab.doctoring.figures import claims
    from steadytrain.lab.doctoring.tables import charts, tables

    where = "embedded images of digits, sums written out and drawn tables"
    faulty = sum(one.job.kind == "fault" for one in verdicts)
    halves = {
        name: own
        for only, name in PARTS.items()
        if (own := [one for one in verdicts if one.job.is_scored_only is only])
    }
    return Experiment(
        name="doctor",
        title=TITLE,
        summary=f"{faulty} faulty and {len(verdicts) - faulty} healthy programs were diagnosed.",
        data=where if settings.data is None else f"images of MNIST and Fashion-MNIST, {TEXT}",
        settings={
            "seeds": ", ".join(map(str, sorted({one.job.seed for one in verdicts}))),
            "programs": f"{len(verdicts)} of {num_asked}, drawn by chance where not all",
            "doctor": f"source {doctors_digest()}",
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": f"{os.cpu_count()} {platform.machine()} CPU cores",
        },
        claims=tuple(claim for name, own in halves.items() for claim in claims(own, name)),
        tables=tables(halves),
        charts=charts(halves),
    )
