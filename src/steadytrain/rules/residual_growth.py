"""The blocks of a network pass on more and more, each a multiple of what it was given.

## What it sees
The root mean square of the outputs of numbered sibling modules (`blocks.0`, `blocks.1`, ...), six
or more, rises from block to block, in all more than fiftyfold, and no single block makes most of
it. Branches of a fixed size make a stream grow with the root of the depth, not by a factor each.

## Why it matters
What the first blocks wrote drowns in what the last ones add; the head reads numbers that are far
too large, and the gradient of every block is of another size.

## Fires on
    act_rms@blocks.0 1
    act_rms@blocks.1 2.2
    act_rms@blocks.2 4.8
    act_rms@blocks.3 10.6
    act_rms@blocks.4 23.4
    act_rms@blocks.5 51.5
    act_rms@blocks.5.inner 1

## Stays silent on
    act_rms@blocks.0 1
    act_rms@blocks.1 2.15
    act_rms@blocks.2 4.6
    act_rms@blocks.3 9.9
    act_rms@blocks.4 21.4
    act_rms@blocks.5 46
    act_rms@blocks.5.inner 1

    act_rms@blocks.0 1
    act_rms@blocks.1 1
    act_rms@blocks.2 1
    act_rms@blocks.3 100
    act_rms@blocks.4 100
    act_rms@blocks.5 100
    act_rms@blocks.5.inner 1

## What to do
Scale the branches by 1 / sqrt(2 * depth) or start them at zero, normalise what each branch reads,
and normalise once more before the head.

## Source
Zhang et al. 2019 (Fixup); Radford et al. 2019 on scaling branches with depth. Two healthy runs of
each of nine architectures stayed below 13, first step and last.
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
from steadytrain.rules._depth import profile, tenth_rows
from steadytrain.rules._extent import number

_PLAIN: Final = ("init-too-large", "missing-norm", "exploding-gradient")

LEAVES: Final = 4
"""Layers of a plain stack have no shortcut that adds up: more is usual, and another thing is meant."""


@rule(
    code="ACT003",
    causes=("residual-growth", "init-too-large", "missing-norm", "exploding-gradient"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualGrowth:
    """Options of the rule."""

    max_growth: float = 50.0
    """Factor from the first block's output to the last one's."""
    min_blocks: int = 6
    """Blocks below which there is no course to speak of."""

    def __post_init__(self) -> None:
        if not (self.max_growth > 1 and self.min_blocks >= 5):
            msg = f"max_growth must be above 1 and min_blocks at least 5, got {self.max_growth} and"
            raise ValueError(f"{msg} {self.min_blocks}. Try 50 and 6.")

    @property
    def lookback(self) -> int:
        return 10

    def check(self, history: History, /) -> Iterator[Finding]:
        names = history.sites("act_rms")
        for step, row in tenth_rows(history, "act_rms"):
            for chain in _siblings(names):
                blocks = chain[np.isfinite(row[chain]) & (row[chain] > 0)]
                if len(blocks) < self.min_blocks:
                    continue
                seen = profile(row[blocks], self.max_growth)
                leaf = not _has_inside(names, names[int(blocks[-1])])
                bar = self.max_growth * (LEAVES if leaf else 1)
                if seen and seen.factor > bar and seen.is_geometric(0.8):
                    ends = names[int(blocks[0])], names[int(blocks[-1])]
                    yield self._finding(step, seen.factor, len(blocks), ends, leaf=leaf)

    def _finding(
        self, step: int, factor: float, count: int, ends: tuple[str, str], *, leaf: bool
    ) -> Finding:
        each = factor ** (1 / (count - 1))
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=ends[0],
            message=f"Outputs grow {number(factor)}-fold over {count} blocks from {ends[0]} to {ends[1]}, "
            f"{number(each)} per block; {number(self.max_growth)} is a lot. Scale the branches by "
            "1/sqrt(2*depth) or start them at zero, and normalise what they read.",
            causes=_PLAIN if leaf else (),
            evidence={"growth": factor, "blocks": count, "first": ends[0], "last": ends[1]},
        )


@lru_cache(maxsize=256)
def _has_inside(names: tuple[str, ...], name: str) -> bool:
    return any(other.startswith(f"{name}.") for other in names)


@lru_cache(maxsize=16)
def _siblings(names: tuple[str, ...]) -> list[Rows]:
    """The numbered children of each parent, in order of execution."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        parent, _, own = name.rpartition(".")
        if re.fullmatch(r"\d+", own):
            found.setdefault(parent, []).append(place)
    return [np.array(places, dtype=np.int64) for places in found.values()]
