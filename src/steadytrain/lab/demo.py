"""The demonstration: the cookbook on embedded digits, two runs broken on purpose, one cured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.experiment import Experiment
from steadytrain.core.finding import Finding
from steadytrain.lab.protocol import LabSettings, ProgressReport, find_experiment, no_progress
from steadytrain.store.documents import write_experiment

if TYPE_CHECKING:
    from steadytrain.lab.lesson.broken import Breakage

CURE_STEPS: Final = 100
"""Steps of the run that the doctor observes: the hundredfold rate shows at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRun:
    """A run that was broken on purpose, and what the rules say about it."""

    name: str
    done_to_it: str
    """What was broken, in a sentence: the reader can hold the findings against it."""
    run_dir: Path
    findings: list[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure:
    """What the doctor said of a broken run, and how the run went with its fix."""

    name: str
    """Of the broken run."""
    run_dir: Path
    """Holds the diagnosis as a page shows it, and the repaired run."""
    diagnosis: Diagnosis
    last_loss: float
    """Of the repaired run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demonstration left behind."""

    experiment: Experiment
    run_dirs: list[Path]
    """The watched runs of the comparison."""
    broken: list[BrokenRun]
    cure: Cure

    @property
    def all_run_dirs(self) -> list[Path]:
        """Every watched run, the broken ones and the repaired one last."""
        return [*self.run_dirs, *(run.run_dir for run in self.broken), self.cure.run_dir]


def run_demo(
    out: Path,
    report_progress: ProgressReport = no_progress,
    *,
    jobs: int = 1,
    quick: bool = False,
) -> Demo:
    """The comparison was run, two runs were broken, one was cured, and `out` holds it all.

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
        report_progress(done, total + len(BREAKAGES) + 1, what)

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
        report_progress(done, totals[-1] + len(BREAKAGES) + 1, f"broken: {breakage.name}")
    cure = _cure(BREAKAGES[0], run_dir_of(out, f"{BREAKAGES[0].name}-cured"))
    done = totals[-1] + len(BREAKAGES) + 1
    report_progress(done, done, f"cured: {cure.name}")
    write_experiment(out, result.experiment)
    return Demo(experiment=result.experiment, run_dirs=result.run_dirs, broken=broken, cure=cure)


def _cure(breakage: Breakage, run_dir: Path) -> Cure:
    """The doctor is asked, its fix is applied, and the repaired program is trained and kept."""
    from steadytrain.doctor.diagnosing import diagnose
    from steadytrain.lab.lesson.broken import broken_program
    from steadytrain.lab.lesson.one_run import one_thread
    from steadytrain.report.diagnosis import diagnosis_experiment
    from steadytrain.training import train

    with one_thread():
        program = broken_program(breakage)
        diagnosis = diagnose(program, CURE_STEPS, progress=False, preflight=False)
        fixed = diagnosis.apply_fix(program)
        run = train(
            fixed, CURE_STEPS, run_dir=run_dir, progress=False, name=f"{breakage.name}, cured"
        )
    write_experiment(run_dir, diagnosis_experiment(diagnosis))
    return Cure(
        name=breakage.name,
        run_dir=run_dir,
        diagnosis=diagnosis,
        last_loss=run.metrics["loss"],
    )
