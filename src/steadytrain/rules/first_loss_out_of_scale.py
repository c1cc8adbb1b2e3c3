"""The run begins with outputs or a loss of another order of magnitude than trains well.

## What it sees
At the first look: the last module's outputs are dozens in size, or they are small and the loss is
above ten thousand. The first comes from the inputs or the initialisation, the second from the
targets, from a sum where a mean is meant, or from a term with a large factor.

## Why it matters
The first steps go into undoing the scale, along gradients that every clip cuts down.

## Fires on
    act_rms@a 1
    act_rms@b 21
    loss 40

    act_rms@a 1
    act_rms@b 1
    loss 10001

## Stays silent on
    act_rms@a 1
    act_rms@b 19
    loss 40

    act_rms@a 1
    act_rms@b 1
    loss 9999

## What to do
Outputs: standardise the inputs, initialise the last layer small. Loss: standardise the targets (or
rewards), take a mean, weigh the terms.

## Source
At a good start outputs are of unit size and the loss is that of guessing (ln of the number of
classes; the variance of the targets).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import comparable
from steadytrain.rules._extent import number

_TARGETS: Final = ("target-not-normalized", "loss-reduction", "reward-scale", "loss-term-scale")
_DATA: Final = ("data-not-normalized", "init-too-large", "missing-norm")
_INIT: Final = ("init-too-large", "missing-norm", "exploding-gradient")


@rule(code="LOS002", causes=(*_INIT, *_TARGETS), repeat_after=10_000)
@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLossOutOfScale:
    """Options of the rule."""

    max_output: float = 20.0
    """Root mean square that the first outputs may have."""
    max_loss: float = 1e4
    """First loss that small outputs may have."""

    def __post_init__(self) -> None:
        if not (self.max_output > 0 and self.max_loss > 0):
            msg = f"max_output and max_loss must be above 0, got {self.max_output} and"
            raise ValueError(f"{msg} {self.max_loss}. Try 20 and 1e4.")

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        step = history.first_step
        if step < history.fresh or step > history.step:
            return
        sizes = history.between("act_rms", step, step + 1)[0]
        ran = np.flatnonzero(np.isfinite(sizes))
        loss = float(history.between("loss", step, step + 1)[0, 0])
        site = int(ran[-1]) if len(ran) else -1
        size = float(sizes[site]) if len(ran) else float("nan")
        data = history.between("data_rms", step, step + 1)[0]
        read = data[np.isfinite(data)]
        from_data = len(read) > 0 and read[0] > 0.3 * self.max_output
        if size > self.max_output:
            causes = _DATA if from_data else _INIT
            large = np.flatnonzero(sizes > self.max_output)  # what comes after it passes it on
            begin = large[np.isin(large, comparable(history, "act_rms", step, sizes))]
            site = int(begin[0]) if len(begin) else site
            yield self._finding(history, step, site, float(sizes[site]), loss, causes)
        elif np.abs(loss) > self.max_loss:
            yield self._finding(history, step, site, size, loss, _TARGETS)

    def _finding(
        self,
        history: History,
        step: int,
        site: int,
        size: float,
        loss: float,
        causes: tuple[str, ...],
    ) -> Finding:
        name = history.sites("act_rms")[site] if site >= 0 else None
        outputs = "" if name is None else f"outputs of size {number(size)} at {name} and "
        large = size > self.max_output
        advice = (
            "Standardise the inputs, or initialise the last layer smaller"
            if large
            else "Standardise the targets, take a mean instead of a sum, or weigh the terms"
        )
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=name if large else None,
            message=f"The run begins with {outputs}a loss of {number(loss)}; "
            f"1, and at most some hundreds, are usual. {advice}.",
            causes=causes,
            evidence={"loss": loss} if name is None else {"output_rms": size, "loss": loss},
        )
