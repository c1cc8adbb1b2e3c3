"""A preflight in the terminal: its answers in the order of the ten steps, then what to change."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from steadytrain.core.answer import STAGES, Answer, Stage
from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.finding import Severity
from steadytrain.report.names import visible, visible_name
from steadytrain.report.terminal import print_findings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_STYLES: Final = {"passed": "green", "failed": "bold red", "not-applicable": "dim"}
_MARKS: Final = {"passed": "pass", "failed": "FAIL", "not-applicable": "n/a"}
_MAX_SEEN: Final = 120


def print_preflight(console: Console, diagnosis: Diagnosis) -> None:
    """Every answer is on the console, then the findings, the causes and a sentence."""
    console.print(_answers(console, diagnosis))
    if diagnosis.findings:
        print_findings(console, diagnosis.findings)
    for cause in diagnosis.causes[:3]:
        line = f"{cause.confidence:4.0%}  {visible_name(cause.name)}  {visible(cause.explanation)}"
        console.print(_text(console, line, "bold"))
    style = "green" if diagnosis.healthy else "bold red"
    console.print(_text(console, visible(diagnosis.summary), style))


def _answers(console: Console, diagnosis: Diagnosis) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    numbers = {stage: number for number, stage in enumerate(STAGES, start=1)}
    for stage, answers in groupby(diagnosis.answers, key=_stage):
        table.add_row(_text(console, f"{numbers[stage]:2}. {STAGES[stage]}", "bold"))
        for answer in answers:
            table.add_row(*_row(console, answer))
    return table


def _stage(answer: Answer) -> Stage:
    return answer.stage


def _row(console: Console, answer: Answer) -> tuple[Text, ...]:
    style = _STYLES[answer.verdict]
    worst = max((one.severity for one in answer.findings), default=Severity.NOTE)
    mark = _MARKS[answer.verdict] if worst < Severity.CRITICAL else "FAIL!"
    return (
        _text(console, f"   {visible_name(answer.check)}"),
        _text(console, mark, style),
        _text(console, visible(answer.seen, _MAX_SEEN), style if style == "dim" else ""),
    )


def _text(console: Console, text: str, style: str = "") -> Text:
    from rich.text import Text

    if console.options.ascii_only:
        text = text.encode("ascii", "backslashreplace").decode("ascii")
    return Text(text, style=style, overflow="fold")
