"""What a page says of one run, as plain data: everything is thinned and safe to show here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from steadytrain.core.action import Event
from steadytrain.core.causes import CAUSES
from steadytrain.core.columns import Floats, Steps
from steadytrain.core.experiment import Experiment
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.report.downsample import MAX_POINTS, spans, thin
from steadytrain.report.embed import packed
from steadytrain.report.figures import key_numbers, nonfinite_steps, num_steps, shown, written
from steadytrain.report.layers import heatmaps, parameters, spread
from steadytrain.report.names import run_name, visible, visible_name
from steadytrain.report.sentence import what_happened
from steadytrain.report.settings import settings

if TYPE_CHECKING:
    from steadytrain.store.reader import SavedRun

MAX_FINDINGS: Final = 200
"""Findings of a run that the page shows."""

MAX_EVENTS: Final = 200
"""Events of a run that the page shows."""

MAX_GROUPS: Final = 8
"""Parameter groups whose learning rate is drawn."""

LINES: Final = {
    "loss": "loss_num_nonfinite",
    "validation_loss": "loss_num_nonfinite",
    "validation_metric": "loss_num_nonfinite",
    "grad_norm_total": "grad_num_nonfinite",
    "grad_norm_clipped": "grad_num_nonfinite",
    "max_grad_norm": "grad_num_nonfinite",
    "loss_scale": "loss_num_nonfinite",
}
"""Lines over steps, and what counts the non-finite values of each."""


def run_contents(run: SavedRun, num_runs: int) -> dict[str, Any]:
    """Everything the page says of `run`."""
    outcome = what_happened(run)
    history = run.history
    points = max(300, MAX_POINTS * 4 // (num_runs + 3))
    return {
        "name": run_name(run.meta, run.path.name or "run"),
        "state": outcome.state,
        "sentence": outcome.text,
        "numbers": [
            {"label": n.label, "value": n.value, "detail": n.detail} for n in key_numbers(run)
        ],
        "missing": [visible(sentence) for sentence in run.missing],
        "findings": [_finding(f) for f in _gravest(run.findings)],
        "num_findings": len(run.findings),
        "events": [_event(event) for event in run.events[:MAX_EVENTS]],
        "num_events": len(run.events),
        "num_steps": num_steps(history),
        "lines": {stat: line for stat in LINES if (line := _line(history, stat, points))},
        "rates": _rates(history, points),
        "maps": heatmaps(history, num_runs),
        "sites": [visible_name(name) for name in history.sites_of("parameter")],
        "spread": spread(history),
        "parameters": parameters(history),
        "settings": settings(run.meta),
    }


def _gravest(findings: list[Finding]) -> list[Finding]:
    """The findings in order of step; where they are too many, the gravest and earliest."""
    order = sorted(findings, key=lambda f: (-f.severity, f.step))[:MAX_FINDINGS]
    return sorted(order, key=lambda f: (f.step, -f.severity))


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": visible_name(finding.rule),
        "code": visible_name(finding.code),
        "severity": finding.severity.name.lower(),
        "step": finding.step,
        "site": visible_name(finding.site) if finding.site else "",
        "message": visible(finding.message),
        "causes": [(visible_name(cause), _meaning(cause)) for cause in finding.causes],
        "evidence": _evidence(finding.evidence.items()),
    }


def _meaning(cause: str) -> str:
    return CAUSES[cause].meaning if cause in CAUSES else ""


def _event(event: Event) -> dict[str, Any]:
    return {
        "step": event.step,
        "kind": event.kind,
        "reason": visible(event.reason),
        "evidence": _evidence(event.evidence.items()),
    }


def _evidence(items: Any) -> list[tuple[str, str]]:
    return [
        (visible_name(name).replace("_", " "), visible(written(value))) for name, value in items
    ]


def _line(history: History, stat: str, points: int) -> dict[str, Any] | None:
    """A line over steps: its points with gaps, and where it was not finite."""
    steps, table = history.measured(stat)
    bad = nonfinite_steps(history, stat, LINES[stat]) if stat in _MARKED else steps[:0]
    if not len(steps) and not len(bad):
        return None
    values = np.where(np.isinf(table[:, 0]), np.nan, table[:, 0])
    return {
        **_points(steps, values, points),
        "bad": spans(bad, num_steps(history)),
        "num_bad": len(bad),
    }


_MARKED: Final = ("loss", "grad_norm_total")
"""Lines on which the non-finite stretches are marked."""


def _points(steps: Steps, values: Floats, points: int) -> dict[str, Any]:
    fewer, kept = thin(steps, values, points)
    return {"x": packed(fewer), "y": packed(kept), "num": len(steps)}


def _rates(history: History, points: int) -> list[dict[str, Any]]:
    steps, table = history.measured("learning_rate")
    names = history.sites_of("group")[:MAX_GROUPS]
    rates: list[dict[str, Any]] = []
    seen: set[bytes] = set()
    for index, name in enumerate(names if len(steps) else ()):
        values = np.where(np.isfinite(table[:, index]), table[:, index], np.nan)
        if values.tobytes() not in seen:
            seen.add(values.tobytes())
            rates.append({"name": visible_name(name), **_points(steps, values, points)})
    return rates


def experiment_contents(experiment: Experiment) -> dict[str, Any]:
    """Everything the page says of an experiment; numbers of charts are kept, cells are written."""
    return {
        "title": visible_name(experiment.title),
        "summary": visible(experiment.summary),
        "data": visible(experiment.data),
        "settings": settings(experiment.settings),
        "claims": [
            {
                "question": visible(claim.question),
                "expected": visible(claim.expected),
                "measured": visible(claim.measured),
                "verdict": claim.verdict,
                "comment": visible(claim.comment),
            }
            for claim in experiment.claims
        ],
        "tables": [
            {
                "title": visible(table.title),
                "columns": [visible_name(column) for column in table.columns],
                "rows": [[_cell(cell) for cell in row] for row in table.rows],
                "note": visible(table.note),
            }
            for table in experiment.tables
        ],
        "charts": [
            {
                "title": visible(chart.title),
                "x_label": visible_name(chart.x_label),
                "y_label": visible_name(chart.y_label),
                "kind": chart.kind,
                "log_y": chart.log_y,
                "note": visible(chart.note),
                "series": [_series(line) for line in chart.series],
            }
            for chart in experiment.charts
        ],
    }


def _cell(cell: object) -> dict[str, Any]:
    is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
    return {"text": visible(shown(cell)), "number": is_number}


def _series(line: Any) -> dict[str, Any]:
    named = any(isinstance(x, str) for x in line.x)
    return {
        "name": visible_name(line.name),
        "x": [visible_name(x) for x in line.x] if named else packed(line.x),
        "y": packed(_numbers(line.y)),
        "low": packed(_numbers(line.low)),
        "high": packed(_numbers(line.high)),
    }


def _numbers(values: Any) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]
