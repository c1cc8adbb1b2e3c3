"""The demonstration: the cookbook on the embedded digits, then two runs broken on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from steadytrain.core.experiment import Experiment
from steadytrain.core.finding import Finding
from steadytrain.lab.protocol import LabSettings, ProgressReport, find_experiment, no_progress
from steadytrain.store.documents import write_experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRun:
    """A run that was broken on purpose, and what the rules say about it."""

    name: str
    done_to_it: str
    """What was broken, in a sentence: the reader can hold the findings against it."""
    run_dir: Path
    findings: list[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demonstration left behind."""

    experiment: Experiment
    run_dirs: list[Path]
    """The watched runs of the comparison."""
    broken: list[BrokenRun]

    @property
    def all_run_dirs(self) -> list[Path]:
        """Every watched run, the broken ones last."""
        return [*self.run_dirs, *(run.run_dir for run in self.broken)]


def run_demo(
    out: Path,
    report_progress: ProgressReport = no_progress,
    *,
    jobs: int = 1,
    quick: bool = False,
) -> Demo:
    """The comparison was run, two runs were broken, and `out` holds the result and the runs.

    Args:
        out: folder for `experiment.json` and the watched runs; made if missing.
        report_progress: called once per finished run, the broken ones included.
        jobs: processes for the comparison.
        quick: the smallest comparison that still goes all the way through.

    Raises:
        StoreError: `out` cannot be written to.
    """
    from steadytrain.lab.lesson.broken import BREAKAGES, break_run
    from steadytrain.lab.lesson.plan import run_dir_of

    totals: list[int] = []

    def report(done: int, total: int, what: str) -> None:
        totals.append(total)
        report_progress(done, total + len(BREAKAGES), what)

    settings = LabSettings(out=out, jobs=jobs, quick=quick)
    result = find_experiment("cookbook").run(settings, report)
    broken: list[BrokenRun] = []
    for breakage in BREAKAGES:
        run_dir, findings = break_run(breakage, run_dir_of(out, breakage.name))
        broken.append(
            BrokenRun(
                name=breakage.name,
                done_to_it=breakage.done_to_it,
                run_dir=run_dir,
                findings=findings,
            )
        )
        done = totals[-1] + len(broken)
        report_progress(done, totals[-1] + len(BREAKAGES), f"broken: {breakage.name}")
    write_experiment(out, result.experiment)
    return Demo(experiment=result.experiment, run_dirs=result.run_dirs, broken=broken)
