"""What happened to a run, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.finding import Finding, Severity
from steadytrain.report.figures import finite, nonfinite_steps, num_steps, shown
from steadytrain.report.names import visible_name

if TYPE_CHECKING:
    from steadytrain.core.history import History
    from steadytrain.store.reader import SavedRun

State = Literal["healthy", "note", "warning", "critical", "empty"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run went: a state to colour by, and the sentence."""

    state: State
    text: str


def what_happened(run: SavedRun) -> Outcome:
    """How the run went: healthy, or what went wrong first, where and when.

    A pure function of the saved run: its findings and its loss.
    """
    if run.experiment is not None and run.history.step < 0:
        return Outcome(state="note", text=visible_name(run.experiment.title) + ".")
    if run.history.step < 0:
        return Outcome(state="empty", text="Nothing was measured: the run has no steps.")
    grave = _grave(run.findings)
    if grave:
        return _wrong(run.history, grave)
    return _unjudged(run.history, len(run.findings))


def _grave(findings: list[Finding]) -> list[Finding]:
    """The findings that ask for something, in order of step."""
    return sorted((f for f in findings if f.severity > Severity.NOTE), key=lambda f: f.step)


def _wrong(history: History, grave: list[Finding]) -> Outcome:
    worst = max(grave, key=lambda f: (f.severity, -f.step))
    place, sign = _named(worst), ""
    if grave[0].step < worst.step:
        sign = f", after a first sign at step {grave[0].step:,} ({_named(grave[0])})"
    if worst.severity is Severity.CRITICAL and _went_on(history, worst.step):
        text = f"Training went on, after a break at step {worst.step:,}: {place}{sign}; {_loss(history)}."
        return Outcome(state="critical", text=text)
    if worst.severity is Severity.CRITICAL:
        text = f"Training broke at step {worst.step:,}: {place}{sign}; {_loss(history)}."
        return Outcome(state="critical", text=text)
    text = f"Training went on, but look at step {worst.step:,}: {place}; {_loss(history)}."
    return Outcome(state="warning", text=text)


def _named(finding: Finding) -> str:
    where = f" in {visible_name(finding.site)}" if finding.site else ""
    return f"{visible_name(finding.rule).replace('-', ' ')}{where}"


def _unjudged(history: History, num_notes: int) -> Outcome:
    if len(nonfinite_steps(history, "loss", "loss_num_nonfinite")):
        return Outcome(state="critical", text=f"No rule spoke, but {_loss(history)}.")
    _, values = finite(history, "loss")
    length = f"{num_steps(history):,} {'step' if num_steps(history) == 1 else 'steps'}"
    if len(values) < 2:
        text = f"No rule found anything in {length}; {_loss(history)}."
        return Outcome(state="note", text=text)
    if not _fell(values):
        text = f"No rule found anything, but the loss did not fall: {_loss(history)}."
        return Outcome(state="warning", text=text)
    notes = f" ({num_notes} {'note' if num_notes == 1 else 'notes'} below)" if num_notes else ""
    return Outcome(state="healthy", text=f"Healthy: in {length}{notes} {_loss(history)}.")


def _went_on(history: History, step: int) -> bool:
    """Whether the loss was finite at the last and had fallen, well after `step`."""
    steps, values = finite(history, "loss")
    after = values[steps > step]
    bad = nonfinite_steps(history, "loss", "loss_num_nonfinite")
    is_whole = not (len(bad) and len(steps) and bad[-1] > steps[-1])
    return is_whole and len(after) >= _tail(values) and _fell(values)


def _fell(values: NDArray[np.float64]) -> bool:
    """Whether the last losses are below the first ones."""
    part = _tail(values)
    return len(values) > 1 and bool(np.median(values[-part:]) < np.median(values[:part]))


def _tail(values: NDArray[np.float64]) -> int:
    return max(1, min(20, len(values) // 10))


def _loss(history: History) -> str:
    """What the loss did, as the end of a sentence."""
    steps, values = finite(history, "loss")
    bad = nonfinite_steps(history, "loss", "loss_num_nonfinite")
    if not len(values):
        return "the loss was never finite" if len(bad) else "no loss was logged"
    span = f"the loss went from {shown(float(values[0]))} to {shown(float(values[-1]))}"
    if len(values) == 1:
        span = f"the loss was {shown(float(values[0]))} at step {steps[0]:,}"
    if not len(bad):
        return span
    if bad[-1] > steps[-1] and steps[-1] < bad[0]:
        return f"the loss, last {shown(float(values[-1]))}, is not finite from step {bad[0]:,} on"
    count = f"{len(bad):,} {'step' if len(bad) == 1 else 'steps'}"
    return f"{span} and was not finite on {count}, first at step {bad[0]:,}"
