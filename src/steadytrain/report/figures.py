"""The key numbers of a run, and how numbers are written for people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steadytrain.core.columns import Floats, Steps
from steadytrain.core.finding import Evidence
from steadytrain.report.downsample import pieces

if TYPE_CHECKING:
    from steadytrain.core.history import History
    from steadytrain.store.reader import SavedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNumber:
    """One number of a run, written for people."""

    label: str
    value: str
    detail: str = ""


def shown(value: object) -> str:
    """A value in a few characters: four significant digits, thousands grouped, NaN by name.

    Example:
        >>> [shown(v) for v in (1234567, 0.000125, float("inf"), None, True)]
        ['1,234,567', '0.000125', 'inf', '-', 'yes']
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if value.is_integer() and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.4g}" if math.isfinite(value) else str(value)


def written(value: Evidence) -> str:
    """Evidence as text: a list with commas, everything else as `shown`."""
    if isinstance(value, tuple):
        return ", ".join(written(item) for item in value)
    return shown(value)


def logged(history: History, stat: str) -> tuple[Steps, Floats]:
    """The steps and values of a statistic of the whole run, where it was measured."""
    steps, table = history.measured(stat)
    values = table[:, 0]
    return steps[~np.isnan(values)], values[~np.isnan(values)]


def finite(history: History, stat: str) -> tuple[Steps, Floats]:
    """`logged` without the infinite values."""
    steps, values = logged(history, stat)
    return steps[np.isfinite(values)], values[np.isfinite(values)]


def nonfinite_steps(history: History, stat: str, count_stat: str) -> Steps:
    """The steps at which `stat` was NaN or infinite, by its own count or by its value."""
    steps, values = logged(history, stat)
    counted = [
        at[(counts > 0).any(axis=1)] for at, counts in pieces(history, count_stat, count_stat)
    ]
    return np.unique(np.concatenate([steps[np.isinf(values)], *counted])).astype(np.int64)


def key_numbers(run: SavedRun) -> list[KeyNumber]:
    """What a reader wants to know first, of what was measured."""
    history = run.history
    found = [_steps(history), *_losses(history), *_validation(history)]
    found += [_gradient(history), _clipping(history), _rate(history), _sites(history)]
    found += [_seconds(history), _skips(history)]
    return [number for number in found if number is not None]


def num_steps(history: History) -> int:
    """Optimizer steps the history reaches from its first to its newest."""
    return history.step - history.first_step + 1 if history.step >= 0 else 0


def _steps(history: History) -> KeyNumber:
    first = "" if history.first_step <= 0 else f"from step {history.first_step:,} on"
    return KeyNumber(label="steps", value=f"{num_steps(history):,}", detail=first)


def _losses(history: History) -> list[KeyNumber]:
    steps, values = logged(history, "loss")
    bad = nonfinite_steps(history, "loss", "loss_num_nonfinite")
    found: list[KeyNumber] = []
    newest = max([*steps[-1:].tolist(), *bad[-1:].tolist()], default=None)
    if newest is not None:
        broken = len(bad) > 0 and newest == bad[-1]
        last = "not finite" if broken else shown(float(values[-1]))
        found.append(KeyNumber(label="last loss", value=last, detail=f"step {newest:,}"))
    kept, good = finite(history, "loss")
    if len(good):
        at = int(np.argmin(good))
        found.append(_at("lowest loss", good[at], kept[at]))
    if len(bad):
        detail = f"first at step {bad[0]:,}"
        found.append(KeyNumber(label="steps with NaN loss", value=f"{len(bad):,}", detail=detail))
    return found


def _validation(history: History) -> list[KeyNumber]:
    found: list[KeyNumber] = []
    for stat, label, best in (
        ("validation_loss", "lowest validation loss", np.argmin),
        ("validation_metric", "best validation metric", np.argmax),
    ):
        steps, values = finite(history, stat)
        if len(values):
            at = int(best(values))
            found.append(_at(label, values[at], steps[at]))
    return found


def _gradient(history: History) -> KeyNumber | None:
    steps, values = finite(history, "grad_norm_total")
    if not len(values):
        return None
    at = int(np.argmax(values))
    detail = f"largest {shown(float(values[at]))} at step {steps[at]:,}"
    middle = shown(float(np.median(values)))
    return KeyNumber(label="gradient norm, median", value=middle, detail=detail)


def _clipping(history: History) -> KeyNumber | None:
    _, values = finite(history, "clip_coefficient")
    if not len(values):
        return None
    share = float(np.mean(values < 1.0))
    _, limits = finite(history, "max_grad_norm")
    detail = f"at a norm of {shown(float(np.median(limits)))}" if len(limits) else ""
    return KeyNumber(label="steps clipped", value=f"{share:.1%}", detail=detail)


def _rate(history: History) -> KeyNumber | None:
    _, table = history.measured("learning_rate")
    values = table[np.isfinite(table)]
    if not len(values):
        return None
    return KeyNumber(label="peak learning rate", value=shown(float(values.max())))


def _sites(history: History) -> KeyNumber | None:
    count = len(history.sites_of("parameter"))
    modules = len(history.sites_of("module"))
    if not count:
        return None
    detail = f"{modules:,} modules" if modules else ""
    return KeyNumber(label="parameters watched", value=f"{count:,}", detail=detail)


def _seconds(history: History) -> KeyNumber | None:
    _, values = finite(history, "step_seconds")
    if not len(values):
        return None
    middle = float(np.median(values))
    _, own = finite(history, "watch_seconds")
    detail = f"{np.median(own) / middle:.1%} of it watching" if len(own) and middle > 0 else ""
    return KeyNumber(label="step time, median", value=f"{shown(middle * 1000)} ms", detail=detail)


def _skips(history: History) -> KeyNumber | None:
    _, values = finite(history, "step_skipped")
    count = int(np.sum(values > 0))
    return KeyNumber(label="skipped steps", value=f"{count:,}") if count else None


def _at(label: str, value: float, step: int) -> KeyNumber:
    return KeyNumber(label=label, value=shown(float(value)), detail=f"step {step:,}")
