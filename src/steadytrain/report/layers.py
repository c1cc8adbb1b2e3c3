"""What the page shows of every layer: pictures over steps, bars at named steps, a table."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.history import History
from steadytrain.core.stats import STATS
from steadytrain.report.downsample import MAX_COLUMNS, Grid, grid, pieces, until
from steadytrain.report.embed import packed
from steadytrain.report.figures import finite
from steadytrain.report.names import visible_name

MAPS: Final = {
    "grad_norm": ("Gradient norm", "grad_num_nonfinite"),
    "update_ratio": ("Update ratio", "param_num_nonfinite"),
    "act_rms": ("Activation RMS", "act_num_nonfinite"),
}
"""The pictures: their titles, and what counts the non-finite values of the same sites."""

NAMED_STEPS: Final = (100, 500, 2000)
"""Steps at which the spread over layers is shown, where the run reaches the last of them."""

NAMED_SHARES: Final = (0.05, 0.25, 1.0)
"""The same as shares of a shorter run."""

MAX_PARAMETERS: Final = 20_000
"""Rows of the parameter table that the page carries."""

RECENT: Final = 64
"""Rows looked through for a parameter's newest value."""

COLUMNS: Final = {
    "param_norm": "norm",
    "update_ratio": "update ratio",
    "grad_norm": "gradient norm",
    "grad_rms": "gradient RMS",
}
"""Columns of the parameter table and their headings."""


def heatmaps(history: History, num_runs: int) -> list[dict[str, Any]]:
    """The layers x steps pictures of what was measured."""
    columns = max(60, MAX_COLUMNS // num_runs)
    found: list[dict[str, Any]] = []
    for stat, (title, bad_stat) in MAPS.items():
        picture = grid(history, stat, bad_stat, columns=columns)
        if picture is not None:
            found.append({"stat": stat, "title": title, **_drawn(history, stat, picture)})
    return found


def _drawn(history: History, stat: str, picture: Grid) -> dict[str, Any]:
    names = history.sites(stat)
    rows = [visible_name(names[first]) for first in picture.first_sites.tolist()]
    low, high = _decades(picture.values)
    return {
        "meaning": STATS[stat].meaning,
        "what": "modules" if STATS[stat].kind == "module" else "parameters",
        "steps": packed(picture.steps),
        "last_step": history.step,
        "rows": rows,
        "each": np.diff(picture.first_sites, append=picture.num_sites).tolist(),
        "cells": packed(picture.values.T, "f4"),
        "low": low,
        "high": high,
        "num_steps": picture.num_steps,
        "num_sites": picture.num_sites,
    }


def _decades(values: Floats) -> tuple[float, float]:
    """The range of powers of ten that the colours span: at least one, at most twelve."""
    there = values[np.isfinite(values) & (values > 0)]
    if not len(there):
        return -1.0, 0.0
    logs = np.log10(there)
    high = float(logs.max())
    low = max(float(np.quantile(logs, 0.005)), high - 12.0)
    return min(low, high - 1.0), high


def spread(history: History) -> list[dict[str, Any]]:
    """The gradient norm of every parameter at a few named steps of the run."""
    found: dict[int, dict[str, Any]] = {}
    for wanted in _named_steps(history):
        steps, values = until(history, wanted + 1).measured("grad_norm", rows=1)
        if len(steps) and not np.isnan(values).all():
            found[int(steps[0])] = {"step": int(steps[0]), "values": packed(values[0], "f4")}
    return list(found.values())


def _named_steps(history: History) -> list[int]:
    if history.step >= NAMED_STEPS[-1]:
        return list(NAMED_STEPS)
    steps, _ = finite(history, "grad_norm_total")
    start, end = history.start, int(steps[-1]) if len(steps) else history.step
    return [start + round(share * (end - start)) for share in NAMED_SHARES]


def parameters(history: History) -> dict[str, Any] | None:
    """The newest numbers of every parameter."""
    names = history.sites_of("parameter")
    if not names:
        return None
    columns = [
        {"title": title, "meaning": STATS[stat].meaning, "values": packed(values, "f4")}
        for stat, title in COLUMNS.items()
        if (values := _newest(history, stat)) is not None
    ]
    counts = _num_bad(history, "grad_num_nonfinite") + _num_bad(history, "param_num_nonfinite")
    columns.append(
        {
            "title": "non-finite steps",
            "meaning": "Measured steps with a NaN or infinity in the gradient or the parameter.",
            "values": packed(counts[:MAX_PARAMETERS], "f4"),
        }
    )
    shown_names = [visible_name(name) for name in names[:MAX_PARAMETERS]]
    return {"names": shown_names, "num": len(names), "columns": columns}


def _newest(history: History, stat: str) -> Floats | None:
    """Each site's newest measured value."""
    _, rows = history.measured(stat, rows=RECENT)
    if not len(rows):
        return None
    newest = rows[-1].copy()
    for row in rows[::-1]:
        newest = np.where(np.isnan(newest), row, newest)
    return newest[:MAX_PARAMETERS]


def _num_bad(history: History, stat: str) -> Floats:
    """Measured steps of every site at which `stat` counted something."""
    total = np.zeros(len(history.sites(stat)))
    for _, counts in pieces(history, stat, stat):
        total += (counts > 0).sum(axis=0)
    return total
