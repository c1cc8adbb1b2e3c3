"""One of several sibling modules gets all of the gradient, the others none.

## What it sees
Numbered siblings of the same make (`experts.0`, `experts.1`, ...), three or more: for fifty steps
only one of them had a gradient, and the others are trained by the optimizer and wait.

## Why it matters
A router that prefers one expert makes it better and so prefers it more; the others are never
called, and their capacity is lost.

## Fires on
    in_optimizer@experts.0.weight 1
    in_optimizer@experts.1.weight 1
    in_optimizer@experts.2.weight 1
    grad_norm@experts.0.weight 1x61
    grad_norm@experts.1.weight 0x61
    grad_norm@experts.2.weight 0x61

## Stays silent on
    in_optimizer@experts.0.weight 1
    in_optimizer@experts.1.weight 1
    in_optimizer@experts.2.weight 1
    grad_norm@experts.0.weight 1x61
    grad_norm@experts.1.weight 0x30 1 0x30
    grad_norm@experts.2.weight 0x61

    in_optimizer@experts.0.weight 1
    in_optimizer@experts.1.weight 1
    grad_norm@experts.0.weight 1x61
    grad_norm@experts.1.weight 0x61

## What to do
Add a term for balance to the loss, noise to the router's scores, or a capacity per expert; begin with
a router whose weights and biases are small.

## Source
Shazeer et al. 2017 (Outrageously Large Neural Networks), section 4; no threshold but zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import Rows
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import tenth_rows

MIN_SIBLINGS: Final = 3


@rule(code="INI005", causes=("router-collapse", "detached-graph"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class StarvedExperts:
    """Options of the rule."""

    window: int = 50
    """Steps for which the siblings must have had no gradient."""

    def __post_init__(self) -> None:
        if not 10 <= self.window <= 500:
            msg = f"window must be 10 to 500 steps, got {self.window}: an expert may wait for its turn."
            raise ValueError(f"{msg} Try 50.")

    @property
    def lookback(self) -> int:
        return self.window

    def check(self, history: History, /) -> Iterator[Finding]:
        chains = _siblings(history.sites("grad_norm"))
        if not chains:
            return
        for step, _ in tenth_rows(history, "grad_norm"):
            if step - history.first_step < self.window:
                continue
            gradients = history.between("grad_norm", step - self.window + 1, step + 1)
            fed = np.asarray((gradients > 0).any(axis=0))
            if fed.all():
                continue
            often = np.asarray((gradients > 0).mean(axis=0) > 0.5)
            held = _held(history, step)
            for parent, chain in chains:
                hungry = chain[~fed[chain]]
                if often[chain].sum() == 1 and len(hungry) == len(chain) - 1 and held[hungry].all():
                    yield self._finding(history, step, parent, chain, int(chain[often[chain]][0]))

    def _finding(self, history: History, step: int, parent: str, chain: Rows, fed: int) -> Finding:
        names = history.sites("grad_norm")
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=parent,
            message=f"Of {len(chain)} siblings under {parent} only {names[fed]} had a gradient in {self.window} steps: "
            "the others are never chosen. Add a term for balance to the loss or noise to the router.",
            evidence={"siblings": len(chain), "fed": names[fed], "steps": self.window},
        )


@lru_cache(maxsize=16)
def _siblings(names: tuple[str, ...]) -> list[tuple[str, Rows]]:
    """Parameters that differ in one number of their path: its place, and their sites.

    The first parameter of each sibling stands for it.
    """
    found: dict[tuple[str, str], dict[str, int]] = {}
    for place, name in enumerate(names):
        for match in re.finditer(r"(?:^|\.)(\d+)\.", name):
            key = name[: match.start(1)].rstrip("."), name[match.end(1) :]
            found.setdefault(key, {})[match[1]] = place
    chains: dict[str, Rows] = {}
    for (parent, _), places in found.items():
        if len(places) >= MIN_SIBLINGS and parent:
            chains.setdefault(parent, np.array(sorted(places.values()), dtype=np.int64))
    return list(chains.items())


def _held(history: History, step: int) -> np.ndarray:
    """Which parameters an optimizer held when that was last looked at."""
    known = np.zeros(len(history.sites("grad_norm")), dtype=np.bool_)
    steps, rows = history.head("in_optimizer", 64)
    for row in rows[steps <= step]:
        known = np.where(np.isfinite(row), row == 1, known)
    return known
