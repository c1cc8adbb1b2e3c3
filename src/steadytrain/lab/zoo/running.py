"""A job of the fault lab: run once, kept, judged as often as the rules change."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import numpy as np
import torch

import steadytrain as st
from steadytrain.core.finding import Finding
from steadytrain.core.program import Program
from steadytrain.engine import judge
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.kept import Kept, code_of, read_kept, write_kept
from steadytrain.lab.zoo.planting import known_controls, known_faults
from steadytrain.lab.zoo.scoring import Job, Outcome, Said


def run_job(job: Job, keep: Path | None = None) -> Outcome:
    """The run is made and judged.

    Args:
        job: what to run.
        keep: folder of finished runs: one that the same code has made is read from there, any
            other is run and written. Nothing is read or written if None.
    """
    kept = None if keep is None else read_kept(kept_path(keep, job))
    if kept is None or kept.code != code_of(source_of(job)):
        kept = measured(job)
        if keep is not None:
            write_kept(kept_path(keep, job), kept)
    return outcome_of(job, kept)


def judge_kept(job: Job, keep: Path) -> Outcome | None:
    """The kept run as the rules judge it now, whichever code made it; None where none is kept."""
    kept = read_kept(kept_path(keep, job))
    return None if kept is None else outcome_of(job, kept)


def kept_path(keep: Path, job: Job) -> Path:
    """The file of a run."""
    data = "embedded" if job.data is None else "files"
    return keep / data / job.architecture / f"{job.kind}.{job.name}.{job.seed}.npz"


def source_of(job: Job) -> Path:
    """The file of the fault or control."""
    folder = "controls" if job.kind == "control" else "faults"
    module = importlib.import_module(f"steadytrain.lab.{folder}.{job.name.replace('-', '_')}")
    return Path(str(module.__file__))


def program_of(job: Job) -> tuple[Program, int]:
    """The program of a job, and how long it runs."""
    case = Case(architecture=job.architecture, seed=job.seed, data=job.data)
    if job.kind == "control":
        control = known_controls()[job.name]
        return control.program(case), control.steps
    planted = known_faults()[job.name]
    make = planted.program if job.kind == "fault" else planted.twin
    return make(case), planted.steps


def measured(job: Job) -> Kept:
    """The run was made under the watch's defaults; it is judged elsewhere."""
    program, steps = program_of(job)
    torch.manual_seed(job.seed)
    start = time.perf_counter()
    run = st.train(program, steps=steps, progress=False, rules=[])
    inside = run.history.series("watch_seconds")
    return Kept(
        history=run.history,
        steps=steps,
        seconds=time.perf_counter() - start,
        watch_seconds=float(np.nansum(inside)),
        metrics=run.metrics,
        findings=tuple(run.findings()),
        code=code_of(source_of(job)),
    )


def outcome_of(job: Job, kept: Kept) -> Outcome:
    """What the rules say of a run, as far as it is scored."""
    start = time.perf_counter()
    found = [*kept.findings, *judge(kept.history)]
    return Outcome(
        job=job,
        steps=kept.steps,
        seconds=kept.seconds,
        watch_seconds=kept.watch_seconds + time.perf_counter() - start,
        said=tuple(map(said_of, found)),
    )


def said_of(finding: Finding) -> Said:
    """A finding, as far as it is scored."""
    return Said(
        rule=finding.rule,
        step=finding.step,
        severity=int(finding.severity),
        site=finding.site,
        causes=tuple(finding.causes),
        message=finding.message,
    )
