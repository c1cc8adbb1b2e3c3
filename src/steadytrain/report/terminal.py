"""Findings, runs and experiments in a terminal.

Everything that comes from a run is made visible first and printed as plain text: escape
sequences do not act and markup is not read. Where the terminal has only ASCII, so has the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from steadytrain.core.experiment import Claim, Experiment, Table
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.report.figures import finite, key_numbers, nonfinite_steps, shown, written
from steadytrain.report.names import run_name, visible, visible_name
from steadytrain.report.sentence import what_happened

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    from steadytrain.store.reader import SavedRun

MAX_FINDINGS: Final = 50
"""Findings printed; a page shows more."""

SPARK_WIDTH: Final = 48
"""Characters of a sparkline."""

_STYLES: Final = {
    "critical": "bold red",
    "warning": "bold yellow",
    "note": "bold blue",
    "healthy": "bold green",
    "empty": "bold blue",
    "holds": "green",
    "contradicted": "red",
    "not shown": "blue",
}
_BARS: Final = "▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = "_.:-=+*#"


def print_findings(console: Console, findings: Iterable[Finding]) -> None:
    """The findings are on the console, in order of step, or the statement that there are none."""
    found = sorted(findings, key=lambda finding: finding.step)
    if not found:
        console.print(_text(console, "No rule found anything.", "green"))
    for finding in found[:MAX_FINDINGS]:
        _print_finding(console, finding)
    if len(found) > MAX_FINDINGS:
        console.print(_text(console, f"and {len(found) - MAX_FINDINGS:,} more", "dim"))


def print_run(console: Console, run: SavedRun) -> None:
    """What happened to a run is on the console: a sentence, numbers, the loss, the findings."""
    outcome = what_happened(run)
    console.print(_text(console, run_name(run.meta, run.path.name or "run"), "dim"))
    if run.experiment is None or run.history.step >= 0:
        console.print(_text(console, outcome.text, _STYLES[outcome.state]))
    for sentence in run.missing:
        console.print(_text(console, f"missing: {visible(sentence)}", "yellow"))
    if run.history.step >= 0:
        line = sparkline(run.history, is_ascii=console.options.ascii_only)
        if line:
            console.print(_text(console, f"loss  {line}"))
        console.print(_numbers(console, run))
        print_findings(console, run.findings)
    if run.experiment is not None:
        print_experiment(console, run.experiment)


def print_experiment(console: Console, experiment: Experiment) -> None:
    """An experiment is on the console: what was found, expected against measured, its tables."""
    console.print(_text(console, visible(experiment.title), "bold"))
    console.print(_text(console, visible(experiment.summary)))
    console.print(_text(console, visible(experiment.data), "dim"))
    if experiment.claims:
        console.print(_claims(console, experiment.claims))
    print_tables(console, experiment.tables)


def print_line(console: Console, text: str, style: str = "") -> None:
    """The text is on the console, in a style."""
    console.print(_text(console, text, style))


def print_tables(console: Console, tables: Iterable[Table]) -> None:
    """The tables are on the console, each with its note."""
    for table in tables:
        console.print(_table(console, table))
        if table.note:
            console.print(_text(console, visible(table.note), "dim"))


def sparkline(history: History, width: int = SPARK_WIDTH, *, is_ascii: bool = False) -> str:
    """The loss as a line of bars, the highest of every stretch, `x` where it was not finite.

    Empty where no loss was logged.
    """
    steps, values = finite(history, "loss")
    bad = nonfinite_steps(history, "loss", "loss_num_nonfinite")
    every = np.union1d(steps, bad)
    if not len(every):
        return ""
    edges = np.linspace(every[0], every[-1] + 1, min(width, len(every)) + 1)
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    bars = _ASCII_BARS if is_ascii else _BARS
    marks: list[str] = []
    for left, right in pairwise(edges):
        part = values[(steps >= left) & (steps < right)]
        if ((bad >= left) & (bad < right)).any():
            marks.append("x")
        elif not len(part):
            marks.append(" ")
        else:
            height = (part.max() - low) / (high - low) if high > low else 0.0
            marks.append(bars[min(len(bars) - 1, int(height * len(bars)))])
    return "".join(marks)


def _print_finding(console: Console, finding: Finding) -> None:
    severity = finding.severity.name.lower()
    head = _text(console, f"{severity:>8}", _STYLES[severity])
    where = f"  {visible_name(finding.site)}" if finding.site else ""
    head.append_text(_text(console, f"  {visible_name(finding.rule)}", "bold"))
    head.append_text(
        _text(console, f" ({visible_name(finding.code)})  step {finding.step:,}{where}")
    )
    console.print(head)
    for line, style in ((visible(finding.message), ""), (_evidence(finding), "dim")):
        if line:
            console.print(_indented(console, line, style))


def _evidence(finding: Finding) -> str:
    parts = [
        f"{visible_name(name)} {visible_name(written(value))}"
        for name, value in finding.evidence.items()
    ]
    causes = ", ".join(visible_name(cause) for cause in finding.causes)
    return " · ".join([*parts, *([f"points to {causes}"] if causes else [])])


def _numbers(console: Console, run: SavedRun) -> RichTable:
    from rich.table import Table as RichTable

    table = RichTable.grid(padding=(0, 2))
    for number in key_numbers(run):
        table.add_row(
            _text(console, number.label, "dim"),
            _text(console, number.value),
            _text(console, number.detail, "dim"),
        )
    return table


def _claims(console: Console, claims: Sequence[Claim]) -> RichTable:
    table = _frame(console, "", ("question", "expected", "measured", "verdict"))
    for claim in claims:
        cells = [visible(claim.question), visible(claim.expected), visible(claim.measured)]
        verdict = _text(console, visible_name(claim.verdict), _STYLES.get(claim.verdict, ""))
        table.add_row(*(_text(console, cell) for cell in cells), verdict)
    return table


def _table(console: Console, table: Table) -> RichTable:
    frame = _frame(console, visible_name(table.title), table.columns)
    for row in table.rows:
        frame.add_row(*(_text(console, visible(shown(cell))) for cell in row))
    for at, column in enumerate(frame.columns):
        if table.rows and all(isinstance(row[at], int | float | None) for row in table.rows):
            column.justify = "right"
    return frame


def _frame(console: Console, title: str, columns: Sequence[str]) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable

    name = _text(console, title, "bold") if title else None
    frame = RichTable(title=name, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        frame.add_column(_text(console, visible_name(column)), overflow="fold")
    return frame


def _indented(console: Console, line: str, style: str) -> object:
    from rich.padding import Padding

    return Padding(_text(console, line, style), (0, 0, 0, 10))


def _text(console: Console, text: str, style: str = "") -> Text:
    from rich.text import Text

    if console.options.ascii_only:
        text = text.encode("ascii", "backslashreplace").decode("ascii")
    return Text(text, style=style, overflow="fold")
