"""CTC targets are longer than the inputs they are to be read from.

## What it does
Runs forward over up to 64 batches on a copy and compares, for every `ctc_loss`, the length of each
input with that of its target plus one for every repeated symbol in it.

## Why it matters
No path through the input spells such a target: its loss is infinite, or zero with
`zero_infinity=True`, so that the sample teaches nothing.

## Passes when
Every target fits into its input.

## Fails when
One does not.

## What to do
Drop or split such samples, or let the network shorten its input less. Lengths count the outputs of
the network, not the frames it was given.

## Source
Graves et al. 2006, section 3.1: a blank stands between two equal symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._scene import Scene
from steadytrain.checks._sweep import sweep_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="DAT260", causes=("infeasible-target",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableCtcTargets:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        if not scene.first.called("ctc_loss"):
            return not_applicable(self, "no ctc_loss")
        lacks = scene.once(sweep_of).lacks
        short = [lack for _, lack in lacks if lack > 0]
        places = [place for place, lack in lacks if lack > 0]
        seen = f"{len(short)} of {len(lacks)} targets do not fit"
        if not short:
            return passed(self, seen, 0)
        return failed(
            self,
            seen,
            len(short),
            findings=[
                finding(
                    self,
                    f"{len(short)} of {len(lacks)} CTC targets, the first in batch {places[0] + 1}, "
                    f"need up to {max(short)} more steps than their input has: no output can spell "
                    "them. Drop them, or shorten the input less.",
                    evidence={"num_targets": len(short), "largest_lack": max(short)},
                )
            ],
        )
