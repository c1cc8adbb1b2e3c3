"""The output of an inner part of the network has shrunk to nothing, while what follows it goes on.

## What it sees
A module in the middle whose output began at a usual size and has fallen to a tenth of it, while the
module that runs next reads numbers of the size it began with: they come from somewhere else.

## Why it matters
An encoder whose mean and variance fade says the same of every sample, and a decoder that goes on
beside it has learned to do without: the latent variable is ignored.

## Fires on
    act_rms@a 1.0x121
    act_rms@b 1.0x60 0.09x61
    act_rms@c 1.0x121
    act_rms@d 1.0x121

## Stays silent on
    act_rms@a 1.0x121
    act_rms@b 1.0x60 0.11x61
    act_rms@c 1.0x121
    act_rms@d 1.0x121

    act_rms@a 1.0x121
    act_rms@b 1.0x60 0.09x61
    act_rms@c 1.0x60 0.09x61
    act_rms@d 1.0x121

## What to do
Lower the weight of the divergence and raise it over the first epochs, give it free bits, or weaken
the decoder. Where it is no latent variable, look for a decay that shrinks the module's weights.

## Source
Bowman et al. 2016 (Generating Sentences from a Continuous Space) on the term that vanishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import comparable, matrices, tenth_rows
from steadytrain.rules._extent import number


@rule(
    code="ACT006",
    causes=("posterior-collapse", "weight-decay-too-high", "loss-term-scale"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class FadingOutput:
    """Options of the rule."""

    min_share: float = 0.1
    """Share of its first size that an output must keep."""
    min_steps: int = 100
    """Steps before the first look."""

    def __post_init__(self) -> None:
        if not 0 < self.min_share < 1:
            msg = f"min_share must be between 0 and 1, got {self.min_share}: it is a share."
            raise ValueError(f"{msg} Try 0.1.")
        if not self.min_steps >= 0:
            msg = f"min_steps must be 0 or more, got {self.min_steps}: it counts from the start."
            raise ValueError(f"{msg} Try 100.")

    @property
    def lookback(self) -> int:
        return 10

    def check(self, history: History, /) -> Iterator[Finding]:
        first = history.head("act_rms", 1)[1]
        for step, row in tenth_rows(history, "act_rms"):
            if step - history.first_step < self.min_steps or not len(first):
                continue
            begun = np.full(len(row), np.nan)
            begun[: len(first[0])] = first[0][: len(row)]
            chosen = comparable(history, "act_rms", step, row)
            chosen = chosen[np.isfinite(begun[chosen]) & (begun[chosen] > 0.1)]
            share = row[chosen] / begun[chosen]
            faded = (share[:-2] < self.min_share) & (row[chosen][1:-1] > 0.5)
            faded &= row[chosen][1:-1] > 5 * row[chosen][:-2]
            for at in np.flatnonzero(faded):
                if not _is_norm(history, step, int(chosen[at + 1])):
                    yield self._finding(history, step, chosen[at : at + 2], float(share[at]))
                    break

    def _finding(self, history: History, step: int, pair: np.ndarray, share: float) -> Finding:
        names = history.sites("act_rms")
        own, follower = names[int(pair[0])], names[int(pair[1])]
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=own,
            message=f"The output of {own} has shrunk to {share:.1%} of its first size (below "
            f"{self.min_share:.0%}), while {follower} reads numbers of size "
            f"{number(float(history.between('act_rms', step, step + 1)[0, int(pair[1])]))} from elsewhere: what {own} "
            "says is ignored. Lower the weight of the term that shrinks it.",
            evidence={"share": share, "next": follower},
        )


def _is_norm(history: History, step: int, module: int) -> bool:
    """Whether a module's weight is no matrix: a normalisation brings anything to unit size."""
    weight = f"{history.sites('act_rms')[module]}.weight"
    names = history.sites("grad_rms")
    if weight not in names:
        return False
    norm, rms = (history.between(stat, step, step + 1)[0] for stat in ("grad_norm", "grad_rms"))
    return names.index(weight) not in matrices(names, norm, rms)
