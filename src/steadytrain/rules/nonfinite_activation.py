"""A module's output is NaN or infinite.

## What it sees
The first module in order of execution whose output is not finite. It tells apart a module that
made the values (its input was finite), parameters that held them already, and a batch that
brought them.

## Why it matters
Everything after that module is NaN and says nothing. The gradient's own traceback names the
operation where NaN was noticed on the way back, which is rarely where it was born.

## Fires on
    act_num_nonfinite@blocks.0 0
    act_num_nonfinite@blocks.1 5
    input_num_nonfinite@blocks.0 0
    input_num_nonfinite@blocks.1 0

## Stays silent on
    act_num_nonfinite@blocks.0 0
    act_num_nonfinite@blocks.1 0

## What to do
Batch: clean or drop it. Parameters: go back to before the step that wrote them. Otherwise look
inside the module for exp, log, division and square roots, and for masks that leave nothing.

## Source
No threshold. Order of execution, not of the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._blame import REACH, blame, first_module
from steadytrain.rules._extent import extent, named

_BORN = ("exp-overflow", "log-of-zero", "div-by-zero", "fully-masked-row", "fp16-overflow")
_REMEDY = {
    "batch": "the batch itself holds such values: clean or drop it",
    "parameters": "parameters hold such values already: restore a checkpoint",
    "outside": "a parameter was changed by something other than the optimizer",
    "module": "its input was finite, so it was born here: look for exp, log, division, square root",
    "before": "its input was non-finite already and nothing earlier was watched",
}


@rule(code="ACT002", causes=("nonfinite-input", *_BORN))
@dataclass(frozen=True, slots=True, kw_only=True)
class NonfiniteActivation:
    """No options."""

    @property
    def lookback(self) -> int:
        return REACH + 1

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, counts = history.measured("act_num_nonfinite")
        judged = np.flatnonzero((steps >= history.fresh) & (counts > 0).any(axis=1))
        for row in judged:
            yield self._finding(history, int(steps[row]), counts[row])

    def _finding(self, history: History, step: int, counts: Floats) -> Finding:
        names = history.sites("act_num_nonfinite")
        inputs = history.between("input_num_nonfinite", step, step + 1)[0]
        batch = float(np.nansum(history.between("batch_num_nonfinite", step, step + 1)))
        site = first_module(history, step) or 0
        weights = _broken_weights(history, step, names[site])
        source = blame(history, step)
        kind = "parameters" if weights or source.step < step else source.origin
        kind = kind if kind in _REMEDY else "module"
        hit, measured = counts > 0, np.isfinite(counts)
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            site=names[site],
            message=f"The output of {names[site] or 'the model'} holds {counts[site]:.0f} NaN or infinite "
            f"elements, {extent(hit, measured, 'modules')} in all; {_REMEDY[kind]}.",
            causes=source.causes,
            evidence={
                "origin": kind,
                "modules": named(names, hit),
                "num_modules": hit.sum(),
                "num_measured": measured.sum(),
                "input_num_nonfinite": inputs[site],
                "batch_num_nonfinite": batch,
                "parameters": weights,
            },
        )


def _broken_weights(history: History, step: int, module: str) -> list[str]:
    """Parameters of the module that were non-finite before this step's update."""
    names = history.sites("param_num_nonfinite")
    at_rest = history.between("param_num_nonfinite_at_rest", step, step + 1)[0]
    before = history.between("param_num_nonfinite", step - 1, step)[0]
    hit = (at_rest > 0) | (before > 0)
    return [names[index] for index in np.flatnonzero(hit) if names[index].startswith(f"{module}.")]
