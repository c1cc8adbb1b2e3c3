"""One class is so frequent that always predicting it costs next to nothing.

## What it does
Counts the classes of up to 64 batches.

## Why it matters
At a share of 99% a model that says the same to everything is right 99 times of 100, and the loss
shows no more than that it has found this out.

## Passes when
The most frequent class has less than 98% of the labels, or the loss weighs the classes. From 90% on
a note says so.

## Fails when
It has 98% or more, over 256 labels or more, in a loss without weights.

## What to do
Weigh the classes in the loss, sample them evenly, and measure with something that does not count the
frequent class most (average precision, balanced accuracy).

## Source
He & Garcia 2009 (Learning from imbalanced data), section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from steadytrain.checks._data import data_of
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Finding, Severity

_FEWEST = 256


@check(code="DAT256", causes=("class-imbalance",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBalance:
    """Options of the check."""

    max_share: float = 0.98
    """Share of the most frequent class from which on the check fails."""
    note_share: float = 0.9
    """Share from which on a note says so."""

    def judge(self, scene: Scene, /) -> Answer:
        labels = torch.cat(scene.once(data_of).labels())
        counts = labels.unique(return_counts=True)[1]
        if len(labels) < _FEWEST or len(counts) < 2:
            return not_applicable(self, f"{len(labels)} labels of {len(counts)} classes")
        share = float(counts.max() / counts.sum())
        seen = f"the most frequent of {len(counts)} classes has {share:.1%}"
        if share < self.note_share:
            return passed(self, seen, share)
        weighed = any(call["weight"] is not None for call in scene.first.called("cross_entropy"))
        if share < self.max_share or weighed:
            return passed(self, seen, share, notes=[self._said(seen, share, Severity.NOTE)])
        return failed(self, seen, share, findings=[self._said(seen, share, Severity.WARNING)])

    def _said(self, seen: str, share: float, severity: Severity) -> Finding:
        return finding(
            self,
            f"{seen[0].upper()}{seen[1:]} of the labels: predicting it always is nearly free. Weigh "
            "the classes, or sample them evenly.",
            severity=severity,
            evidence={"share": share},
        )
