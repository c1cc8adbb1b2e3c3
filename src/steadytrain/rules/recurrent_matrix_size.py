"""A plain recurrent network's matrix forgets, or multiplies, the state at every step of time.

## What it sees
At the first look: a square recurrent matrix (`weight_hh`) whose norm over the root of its width, the
size of its eigenvalues where it is drawn at random or orthogonal, is below 0.4 or above 2. The gates
of an LSTM or GRU carry the state past the matrix, so theirs are left out.

## Why it matters
What the network reads is multiplied by that factor at every step of time: at 0.4 a ten-thousandth is
left after ten steps, of the state and of the gradient on its way back; at 2 both are thousandfold.

## Fires on
    param_norm@cell.weight_hh_l0 3.19
    grad_norm@cell.weight_hh_l0 8.0
    grad_rms@cell.weight_hh_l0 0.125
    grad_norm@cell.bias_hh_l0 1.0
    grad_rms@cell.bias_hh_l0 0.125

## Stays silent on
    param_norm@cell.weight_hh_l0 3.21
    grad_norm@cell.weight_hh_l0 8.0
    grad_rms@cell.weight_hh_l0 0.125
    grad_norm@cell.bias_hh_l0 1.0
    grad_rms@cell.bias_hh_l0 0.125

    param_norm@cell.weight_hh_l0 3.19
    grad_norm@cell.weight_hh_l0 16.0
    grad_rms@cell.weight_hh_l0 0.125
    grad_norm@cell.bias_hh_l0 2.0
    grad_rms@cell.bias_hh_l0 0.125

## What to do
Initialise the matrix orthogonal or as the identity (`torch.nn.init.orthogonal_`), or use an LSTM or
GRU; clip the gradient norm.

## Source
Pascanu, Mikolov, Bengio 2013, section 2: gradients vanish where the largest singular value is below
one and may explode above. torch's own initialisation has 0.58.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number

_SMALL = ("recurrent-spectral-radius", "vanishing-gradient", "init-too-small")
_LARGE = ("recurrent-spectral-radius", "exploding-gradient", "init-too-large")


@rule(code="INI006", causes=_SMALL, repeat_after=10_000)
@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentMatrixSize:
    """Options of the rule."""

    min_size: float = 0.4
    """Norm over the root of the width that the matrix must have."""
    max_size: float = 2.0
    """Norm over the root of the width that it may have."""

    def __post_init__(self) -> None:
        if not 0 < self.min_size < self.max_size:
            msg = f"min_size must be above 0 and below max_size, got {self.min_size} and"
            raise ValueError(f"{msg} {self.max_size}. Try 0.4 and 2.")

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        step = history.first_step
        if step < history.fresh or step > history.step:
            return
        names = history.sites("param_norm")
        for index, name in enumerate(names):
            if not name.rpartition(".")[2].startswith("weight_hh"):
                continue
            width = _width(history, step, names, index)
            size = float(history.between("param_norm", step, step + 1)[0, index]) / np.sqrt(width)
            if np.isfinite(size) and not self.min_size <= size <= self.max_size:
                yield self._finding(step, name, size)

    def _finding(self, step: int, name: str, size: float) -> Finding:
        small = size < self.min_size
        what = "forgets the state" if small else "multiplies the state and its gradient"
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=name,
            causes=_SMALL if small else _LARGE,
            message=f"The recurrent matrix {name} begins {number(size)} in size, its norm over the root of its "
            f"width; {number(self.min_size)} to {number(self.max_size)} is usual, 1 is orthogonal. It {what} at every "
            "step of time: initialise it orthogonal, or use an LSTM or GRU.",
            evidence={"size": size},
        )


def _width(history: History, step: int, names: tuple[str, ...], index: int) -> float:
    """The width of a square matrix whose bias has one element per row; NaN for any other."""
    beside = names[index].replace("weight_hh", "bias_hh")
    if beside not in names:
        return float("nan")
    norm, rms = (history.between(stat, step, step + 1)[0] for stat in ("grad_norm", "grad_rms"))
    own = [index, names.index(beside)]
    elements, rows = np.square(norm[own] / np.where(rms[own] > 0, rms[own], np.nan))
    square = np.isfinite(elements) and abs(elements - rows * rows) < 0.01 * elements
    return float(rows) if square else float("nan")
