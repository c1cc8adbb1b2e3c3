"""A diagnosis as a page and in the terminal: causes, and the trials beside each other.

The losses of all trials are drawn on one scale, so that a run that trains is seen among those
that do not. A diagnosis stands on a report page as an experiment does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from steadytrain.core.diagnosis import Cause, Diagnosis, Trial
from steadytrain.core.experiment import Chart, Experiment, Series, Table
from steadytrain.report.names import visible, visible_name
from steadytrain.report.terminal import print_line, print_tables

if TYPE_CHECKING:
    from rich.console import Console

WIDTH: Final = 24
"""Characters of a trial's small curve."""

DRAWN: Final = 6
"""Trials that are drawn in the chart, the observed run among them."""

REMEDY: Final = "What to do: "
"""Where the summary turns from what is known to what follows from it."""

_BARS: Final = "▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = "_.:-=+*#"


def print_diagnosis(console: Console, diagnosis: Diagnosis) -> None:
    """The verdict, how it is known, what to do, the causes and the trials are on the console."""
    shown = diagnosis_experiment(diagnosis, is_ascii=console.options.ascii_only)
    known, _, remedy = shown.summary.partition(REMEDY)
    print_line(console, shown.title, "bold green" if diagnosis.healthy else "bold red")
    print_line(console, known.strip())
    if remedy:
        print_line(console, f"{REMEDY}{remedy}", "bold")
    print_line(console, shown.data, "dim")
    print_tables(console, shown.tables)


def diagnosis_experiment(diagnosis: Diagnosis, *, is_ascii: bool = False) -> Experiment:
    """The diagnosis as a page shows it: the verdict, the causes, the trials, their curves."""
    tables = [_causes(diagnosis.causes)] if diagnosis.causes else []
    if diagnosis.trials:
        tables.append(_trials(diagnosis, is_ascii=is_ascii))
    return Experiment(
        name="diagnosis",
        title=_title(diagnosis),
        summary=visible(diagnosis.summary),
        data=f"{len(diagnosis.trials)} runs, {diagnosis.cost:.1f} times the steps of the observed one",
        tables=tuple(tables),
        charts=tuple(_charts(diagnosis)),
    )


def _title(diagnosis: Diagnosis) -> str:
    if diagnosis.healthy:
        return "Diagnosis: healthy"
    first = diagnosis.causes[0]
    return f"Diagnosis: {visible_name(first.name)}{', proven' if first.proven else ''}"


def _causes(causes: Sequence[Cause]) -> Table:
    return Table(
        title="Causes",
        columns=("cause", "proven", "confidence", "where", "what to do"),
        rows=tuple(
            (
                visible_name(one.name),
                "yes" if one.proven else "no",
                f"{one.confidence:.0%}",
                visible_name(one.site) if one.site else "",
                visible(one.fix),
            )
            for one in causes
        ),
    )


def _trials(diagnosis: Diagnosis, *, is_ascii: bool) -> Table:
    proofs = proving(diagnosis)
    lines = curves(diagnosis.trials, is_ascii=is_ascii)
    return Table(
        title="Trials",
        columns=("change", "loss", "steps", "healthy", "outcome"),
        rows=tuple(
            (
                visible(trial.change) + (" (the proof)" if trial.name in proofs else ""),
                line,
                trial.steps,
                "yes" if trial.healthy else "no",
                visible(trial.outcome),
            )
            for trial, line in zip(diagnosis.trials, lines, strict=True)
        ),
        note="The curves share one scale from the lowest loss to the first one; x is not finite. "
        "A short trial shows only its first steps.",
    )


def proving(diagnosis: Diagnosis) -> set[str]:
    """The name of the trial that proves the first cause: of its own, the first that held out."""
    if not diagnosis.causes or not diagnosis.causes[0].proven:
        return set()
    longest = max((trial.steps for trial in diagnosis.trials), default=0)
    own = diagnosis.causes[0].trials
    whole = (one.name for one in own if one.healthy and one.steps == longest)
    again = (one.name for one in own if one.name == "run-again")
    name = next(whole, None) or next(again, None)
    return set() if name is None else {name}


def curves(trials: Sequence[Trial], *, is_ascii: bool = False) -> list[str]:
    """The loss of each trial as a line of bars; all on one scale, as long as it was run."""
    finite = [loss for trial in trials for loss in trial.losses if loss is not None]
    if not finite:
        return ["x" * min(1, len(trial.losses)) for trial in trials]
    first = next((trial.losses[0] for trial in trials if trial.losses), None)
    low, high = min(finite), max(finite) if first is None else first
    high = high if high > low else max(finite)
    longest = max(1, *(trial.steps for trial in trials))
    return [_curve(trial, low, high, longest, is_ascii=is_ascii) for trial in trials]


def _curve(trial: Trial, low: float, high: float, longest: int, *, is_ascii: bool) -> str:
    bars = _ASCII_BARS if is_ascii else _BARS
    width = max(1, round(WIDTH * trial.steps / longest))
    places = [at * len(trial.losses) // width for at in range(width)] if trial.losses else []
    marks: list[str] = []
    for at in places:
        loss = trial.losses[at]
        share = 0.0 if loss is None or not high > low else (loss - low) / (high - low)
        marks.append("x" if loss is None else bars[max(0, min(7, int(share * len(bars))))])
    return "".join(marks)


def _charts(diagnosis: Diagnosis) -> list[Chart]:
    """The observed run, the proof and the other trials, on one scale."""
    proofs = proving(diagnosis)
    ordered = sorted(
        diagnosis.trials,
        key=lambda t: (t.name != "as-it-is", t.name not in proofs, not t.healthy, -t.steps),
    )
    drawn = [trial for trial in ordered if len(trial.losses) > 1][:DRAWN]
    if not drawn:
        return []
    above = [loss for trial in drawn for loss in trial.losses if loss is not None]
    is_wide = bool(above) and min(above) > 0 and max(above) > 30 * min(above)
    return [
        Chart(
            title="The loss of each trial",
            x_label="step",
            y_label="loss",
            series=tuple(_series(trial, trial.name in proofs) for trial in drawn),
            log_y=is_wide,
            note="One change each, from the same weights on the same data.",
        )
    ]


def _series(trial: Trial, is_proof: bool) -> Series:
    apart = (trial.steps - 1) / max(1, len(trial.losses) - 1)
    name = visible_name(trial.change)
    return Series(
        name=f"{name} (the proof)" if is_proof else name,
        x=tuple(round(at * apart, 2) for at in range(len(trial.losses))),
        y=trial.losses,
    )
