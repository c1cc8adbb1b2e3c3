"""CTC targets are longer than the inputs they are to be read from.

## What it does
Compares, for every `ctc_loss` of the first step, the length of each input with that of its target,
plus one for every repeated symbol in it.

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
from typing import Any

import torch
from torch import Tensor

from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="DAT260", causes=("infeasible-target",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableCtcTargets:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        calls = scene.first.called("ctc_loss")
        if not calls:
            return not_applicable(self, "no ctc_loss")
        lacks = [lack for call in calls for lack in _lacks(call)]
        short = [lack for lack in lacks if lack > 0]
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
                    f"{len(short)} of {len(lacks)} CTC targets need up to {max(short)} more steps than "
                    "their input has: no output can spell them. Drop them, or shorten the input less.",
                    evidence={"num_targets": len(short), "largest_lack": max(short)},
                )
            ],
        )


def _lacks(call: Call) -> list[int]:
    """Steps that each target needs beyond what its input has; negative where it fits."""
    inputs, lengths = _numbers(call["input_lengths"]), _numbers(call["target_lengths"])
    targets: Any = call["targets"]
    lacks: list[int] = []
    start = 0
    for row, (available, length) in enumerate(zip(inputs, lengths, strict=True)):
        own = targets[start : start + length] if targets.dim() == 1 else targets[row, :length]
        start += length
        repeats = int((own[1:] == own[:-1]).sum())
        lacks.append(length + repeats - available)
    return lacks


def _numbers(value: Any) -> list[int]:
    values = value if isinstance(value, Tensor) else torch.as_tensor(value)
    return [int(one) for one in values.flatten()]
