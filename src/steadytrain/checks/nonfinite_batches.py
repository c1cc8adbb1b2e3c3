"""The data holds NaN or infinite values.

## What it does
Looks through up to 64 batches for tensors that are not finite throughout.

## Why it matters
One such value reaches every weight with the first step that it is in.

## Passes when
Every floating point tensor of every batch is finite.

## Fails when
One is not.

## What to do
Replace or drop missing values where the data is read; look at what divides by a standard deviation
or takes a logarithm there.

## Source
Karpathy 2019, "A Recipe for Training Neural Networks": become one with the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from steadytrain.checks._data import data_of
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, passed
from steadytrain.core.finding import Severity


@check(code="DAT250", causes=("nonfinite-input",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class NonfiniteBatches:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        data = scene.once(data_of)
        bad = [
            (place, int((~torch.isfinite(leaf)).sum()))
            for place, batch in enumerate(data.batches)
            for leaf in batch
            if leaf.is_floating_point() and not bool(torch.isfinite(leaf).all())
        ]
        if not bad:
            return passed(self, f"{len(data.batches)} batches are finite", 0)
        places = sorted({place for place, _ in bad})
        count = sum(number for _, number in bad)
        return failed(
            self,
            f"{count} values in {len(places)} of {len(data.batches)} batches",
            count,
            findings=[
                finding(
                    self,
                    f"{count} values in {len(places)} of {len(data.batches)} batches are NaN or "
                    f"infinite, first in batch {places[0] + 1}. Replace or drop them where the data is "
                    "read.",
                    severity=Severity.CRITICAL,
                    evidence={"batches": places[:8], "num_values": count},
                )
            ],
        )
