"""What an experiment of the lab is: a documented function from settings to a result.

An experiment is a function marked by `@experiment(...)` in a file of this folder; the file's
name is the experiment's (`learning_rates.py` -> `learning-rates`). Its module's docstring says
what is tried, what is expected, and whose expectation that is. Other packages add theirs by the
entry-point group `steadytrain.lab`. Listing the experiments does not import torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol, cast

from steadytrain.core.discovery import Broken, marked
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.experiment import Experiment
from steadytrain.core.rule import read_sections

SECTIONS: Final = ("What is tried", "What is expected", "Source")
"""Headings that every experiment's documentation has, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSettings:
    """How large an experiment is and where it writes.

    Raises:
        UsageError: a field cannot mean what was given.
    """

    out: Path
    """Folder for the result and the watched runs; made if missing."""
    data: Path | None = None
    """Folder of data files: IDX files, or a text as `input.txt`; the embedded data if None."""
    seeds: int | None = None
    """Seeds per configuration; the experiment's own choice if None."""
    epochs: float | None = None
    """Passes over the training data; the experiment's own choice if None."""
    jobs: int = 1
    """Processes that runs are spread over; 1 keeps everything in this one."""
    quick: bool = False
    """The smallest size at which the experiment still goes all the way through."""
    progress: bool = True
    """Whether a person watches: the caller draws a bar from the reports of progress."""

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise UsageError(f"seeds must be at least 1, got {self.seeds}. Try 3.")
        if self.epochs is not None and not 0 < self.epochs <= 1000:
            msg = f"epochs must be above 0 and at most 1000, got {self.epochs}. Try 1."
            raise UsageError(msg)
        if self.jobs < 1:
            raise UsageError(f"jobs must be at least 1 process, got {self.jobs}. Try 2.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabResult:
    """What an experiment left behind."""

    experiment: Experiment
    run_dirs: list[Path] = field(default_factory=list[Path])
    """The watched runs, for the report to show beside the result."""


ProgressReport = Callable[[int, int, str], None]
"""`report_progress(done, total, what)`: units of work finished, in all, and the newest one."""


def no_progress(done: int, total: int, what: str) -> None:
    """Nothing happens: nobody watches."""


class RunsExperiment(Protocol):
    """The function an experiment is."""

    def __call__(
        self,
        settings: LabSettings,
        report_progress: ProgressReport = no_progress,
        *,
        executor: Executor | None = None,
    ) -> LabResult:
        """Run the experiment; its single runs go through `executor` where one is given."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentInfo:
    """What is known about an experiment without running it."""

    name: str
    title: str
    summary: str
    sections: dict[str, str]
    run: RunsExperiment


def experiment(*, title: str) -> Callable[[RunsExperiment], RunsExperiment]:
    """Mark a function as an experiment, with its documentation read from its module.

    Raises:
        UsageError: the module's docstring lacks a section.
    """

    def mark(run: RunsExperiment) -> RunsExperiment:
        module = cast("Any", run).__module__
        name = module.rpartition(".")[2].replace("_", "-")
        summary, sections = read_sections(inspect.getdoc(inspect.getmodule(run)) or "")
        missing = [heading for heading in SECTIONS if heading not in sections]
        if missing:
            msg = f"experiment {name!r}: its docstring has no section {', '.join(missing)}."
            raise UsageError(f"{msg} Expected: {', '.join(SECTIONS)}, each after '## '.")
        info = ExperimentInfo(name=name, title=title, summary=summary, sections=sections, run=run)
        cast("Any", run).__experiment__ = info
        return run

    return mark


@cache
def _found() -> tuple[dict[str, object], list[Broken]]:
    return marked("steadytrain.lab", "steadytrain.lab", "__experiment__")


def known_experiments() -> dict[str, ExperimentInfo]:
    """Every experiment in the folder and from entry points, by name."""
    return {name: cast("Any", run).__experiment__ for name, run in sorted(_found()[0].items())}


def broken_experiments() -> list[Broken]:
    """Experiments of other packages that could not be loaded."""
    return list(_found()[1])


def find_experiment(name: str) -> ExperimentInfo:
    """The experiment called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    known = known_experiments()
    if name not in known:
        raise UnknownNameError.build("experiment", name, known)
    return known[name]
