"""What the doctor says of every planted fault and of every healthy program, and at which cost.

## What is tried
Each fault of the lab is planted in small healthy programs; beside it stand its twin without the
fault, and the controls, which are healthy and look suspicious. The doctor is asked about each, with
its preflight, its trials and its default budget. It is told nothing of the fault.

## What is expected
Ours: the right cause is first in 90% and among three in 98%, the place is right in 95%, 80% of the
right verdicts are proven by a trial; healthy is said of 98% of the healthy programs, and a cause is
proven of none; confidence is calibrated to 0.1; at most 12 times the steps of the observed run, 6 in
the median.

## Source
The faults are those of the fault lab. The best academic tool names the fault with a recall of 0.55
at a precision of 0.37 (Humbatova et al. 2025, on programs of its own).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from steadytrain.core.experiment import Cell, Chart, Claim, Experiment, Series, Table
from steadytrain.lab.protocol import (
    LabResult,
    LabSettings,
    ProgressReport,
    experiment,
    no_progress,
)

if TYPE_CHECKING:
    from steadytrain.lab.zoo.scoring import Job
    from steadytrain.lab.zoo.verdicts import Verdict

TITLE: Final = "The doctor on planted faults and healthy programs"
TEXT: Final = "Tiny Shakespeare and drawn tables"
QUICK: Final = 1
Named = dict[str, tuple[tuple[str, ...], int]]
"""Architectures and steps by name."""

LEAST: Final = {
    "right cause first": 0.90,
    "right cause among three": 0.98,
    "place right": 0.95,
    "right ones proven": 0.80,
    "said healthy of healthy": 0.98,
}


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """The doctor was asked about every program; no run directory is written.

    Args:
        settings: `seeds` is 1 unless more are asked for; `quick` takes a few faults and controls.
        report_progress: called once per program.
        executor: for the programs; `settings.jobs` processes of this machine if None.
    """
    from steadytrain.lab.sweep import executor_for, run_all
    from steadytrain.lab.zoo.verdicts import examine

    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        jobs = all_jobs(settings.seeds or 1, settings.data, is_quick=settings.quick)
        verdicts = run_all(jobs, examine, workers, report_progress, _name)
    return LabResult(experiment=_experiment(verdicts, settings))


def all_jobs(num_seeds: int, data: Path | None, *, is_quick: bool) -> list[Job]:
    """One job per fault, twin and control on each architecture it names; a few when quick."""
    from steadytrain.lab.zoo.planting import known_controls, known_faults
    from steadytrain.lab.zoo.scoring import Job, Kind

    faults = {name: (one.on, one.steps) for name, one in known_faults().items()}
    controls = {name: (one.on, one.steps) for name, one in known_controls().items()}
    kinds: tuple[tuple[Kind, Named], ...] = (
        ("fault", faults),
        ("twin", faults),
        ("control", controls),
    )
    return [
        Job(kind=kind, name=name, architecture=architecture, seed=seed, data=data)
        for kind, known in kinds
        for name, on in _few(known, is_quick=is_quick).items()
        for architecture in on
        for seed in range(num_seeds)
    ]


def _few(known: Named, *, is_quick: bool) -> dict[str, tuple[str, ...]]:
    """The architectures by name; a few short ones on the quickest when quick."""
    if not is_quick:
        return {name: on for name, (on, _) in known.items()}
    short = [name for name, (on, steps) in known.items() if "mlp" in on and steps <= 200]
    return dict.fromkeys(short[:QUICK], ("mlp",))


def _name(job: Job) -> str:
    return f"{job.kind} {job.name} on {job.architecture}, seed {job.seed}"


def _experiment(verdicts: Sequence[Verdict], settings: LabSettings) -> Experiment:
    import os
    import platform

    import torch

    where = "embedded images of digits, sums written out and drawn tables"
    faulty = sum(one.job.kind == "fault" for one in verdicts)
    return Experiment(
        name="doctor",
        title=TITLE,
        summary=f"{faulty} faulty and {len(verdicts) - faulty} healthy programs were diagnosed.",
        data=where if settings.data is None else f"images of MNIST and Fashion-MNIST, {TEXT}",
        settings={
            "seeds": ", ".join(map(str, range(settings.seeds or 1))),
            "programs": len(verdicts),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": f"{os.cpu_count()} {platform.machine()} CPU cores",
        },
        claims=_claims(verdicts),
        tables=(_table(verdicts),),
        charts=(_calibration(verdicts), _costs(verdicts)),
    )


def _claims(verdicts: Sequence[Verdict]) -> tuple[Claim, ...]:
    from steadytrain.lab.zoo.verdicts import calibration_error, shares

    measured = shares(verdicts)
    found = [
        Claim(
            question=name,
            expected=f"at least {least:.0%}",
            measured=str(measured[name]),
            verdict=_verdict(measured[name].hits >= least * measured[name].total),
        )
        for name, least in LEAST.items()
    ]
    falsely = measured["proven cause of healthy"]
    error = calibration_error(verdicts)
    costs = [one.cost for one in verdicts if one.cost] or [0.0]
    middle, most = statistics.median(costs), max(costs)
    return (
        *found,
        Claim(
            question="proven cause of healthy",
            expected="none",
            measured=str(falsely),
            verdict=_verdict(not falsely.hits),
        ),
        Claim(
            question="calibration error",
            expected="at most 0.1",
            measured=f"{error:.2f}",
            verdict=_verdict(error <= 0.1),
        ),
        Claim(
            question="cost over the observed run",
            expected="6 in the median, 12 at most",
            measured=f"{middle:.1f} in the median, {most:.1f} at most",
            verdict=_verdict(middle <= 6 and most <= 12),
        ),
    )


def _verdict(holds: bool) -> Literal["holds", "contradicted"]:
    return "holds" if holds else "contradicted"


def _table(verdicts: Sequence[Verdict]) -> Table:
    return Table(
        title="Verdicts",
        columns=("program", "on", "seed", "right", "proven", "said", "confidence", "cost"),
        rows=tuple(_row(one) for one in verdicts),
    )


def _row(one: Verdict) -> tuple[Cell, ...]:
    said = ", ".join(cause.name for cause in one.causes[:3]) or one.error or "healthy"
    job = one.job
    return (
        f"{job.kind} {job.name}",
        job.architecture,
        job.seed,
        "yes" if one.is_right else "no",
        "yes" if one.is_proven else "no",
        said,
        one.causes[0].confidence if one.causes else None,
        one.cost,
    )


def _calibration(verdicts: Sequence[Verdict]) -> Chart:
    from steadytrain.lab.zoo.verdicts import calibration

    bins = calibration(verdicts) or [(0.0, 0.0, 0)]
    return Chart(
        title="How often a confidence is right",
        x_label="confidence",
        y_label="share that is right",
        series=(
            Series(
                name="the doctor",
                x=tuple(round(mean, 4) for mean, *_ in bins),
                y=tuple(share for _, share, _ in bins),
            ),
            Series(name="calibrated", x=(0.0, 1.0), y=(0.0, 1.0)),
        ),
    )


def _costs(verdicts: Sequence[Verdict]) -> Chart:
    costs = sorted(one.cost for one in verdicts)
    return Chart(
        title="What a diagnosis costs",
        x_label="programs, the cheapest first",
        y_label="steps over the observed run",
        series=(Series(name="cost", x=tuple(map(float, range(len(costs)))), y=tuple(costs)),),
    )
