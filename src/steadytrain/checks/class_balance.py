"""One class is so frequent that nothing else need be predicted, or some are all but missing.

## What it does
Counts the classes of up to 256 batches, and those of the validation data.

## Why it matters
At a share of 99% a model that says the same to everything is right 99 times of 100, and the loss
shows no more than that it has found this out.

## Passes when
The most frequent class has less than 98% of the labels, or the loss weighs the classes. From 90% on
a note says so.

## Fails when
It has 98% or more, over 256 labels or more, in a loss without weights; or classes that the validation
data holds in numbers have less than a tenth of that share here.

## What to do
Weigh the classes in the loss, sample them evenly, and measure with something that does not count the
frequent class most (average precision, balanced accuracy).

## Source
He & Garcia 2009 (Learning from imbalanced data), section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from steadytrain.checks._data import data_of, validation_of
from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Finding, Severity

_FEWEST = 256
_FEWEST_OF_CLASS = 10
"""Labels of a class in the validation data from which on it is meant to be predicted."""
_MOST_RARE = 0.5
"""Share of the classes; if more are missing, the batches read are not a sample of the data."""


@check(code="DAT256", causes=("class-imbalance",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBalance:
    """Options of the check."""

    max_share: float = 0.98
    """Share of the most frequent class from which on the check fails."""
    note_share: float = 0.9
    """Share from which on a note says so."""
    min_share_ratio: float = 0.1
    """Share of a class here over its share in the validation data."""

    def judge(self, scene: Scene, /) -> Answer:
        labels = torch.cat(scene.once(data_of).labels())
        counts = labels.unique(return_counts=True)[1]
        if len(labels) < _FEWEST or len(counts) < 2:
            return not_applicable(self, f"{len(labels)} labels of {len(counts)} classes")
        share = float(counts.max() / counts.sum())
        seen = f"the most frequent of {len(counts)} classes has {share:.1%}"
        rare = _rare(scene, labels, self.min_share_ratio)
        if rare and not _is_weighed(scene):
            return self._missing(seen, rare)
        if share < self.note_share:
            return passed(self, seen, share)
        if share < self.max_share or _is_weighed(scene):
            return passed(self, seen, share, notes=[self._said(seen, share, Severity.NOTE)])
        return failed(self, seen, share, findings=[self._said(seen, share, Severity.WARNING)])

    def _missing(self, seen: str, rare: dict[int, tuple[float, float]]) -> Answer:
        place = next(iter(rare))
        here, there = rare[place]
        names = listed([str(one) for one in rare])
        said = finding(
            self,
            f"Classes {names} are all but missing: class {place} has {here:.2%} of the training labels "
            f"and {there:.1%} of the validation's. Never to predict them costs nothing: sample the "
            "classes evenly, or weigh them.",
            evidence={"classes": list(rare), "share": here, "validation_share": there},
        )
        return failed(self, f"{seen}, {len(rare)} next to none", here, findings=[said])

    def _said(self, seen: str, share: float, severity: Severity) -> Finding:
        return finding(
            self,
            f"{seen[0].upper()}{seen[1:]} of the labels: predicting it always is nearly free. Weigh "
            "the classes, or sample them evenly.",
            severity=severity,
            evidence={"share": share},
        )


def _is_weighed(scene: Scene) -> bool:
    return any(call["weight"] is not None for call in scene.first.called("cross_entropy"))


def _rare(scene: Scene, labels: Tensor, ratio: float) -> dict[int, tuple[float, float]]:
    """Classes whose share is far below that in the validation data: both shares, by class."""
    try:
        data = scene.once(data_of)
        held_out = replace(data, batches=tuple(validation_of(scene, data)))
        others = torch.cat(held_out.labels())
    except Unseen:
        return {}
    found: dict[int, tuple[float, float]] = {}
    for one, count in zip(
        *(part.tolist() for part in others.unique(return_counts=True)), strict=True
    ):
        here, there = float((labels == one).double().mean()), count / len(others)
        expected = there * len(labels)
        if count >= _FEWEST_OF_CLASS and expected >= 2 * _FEWEST_OF_CLASS and here < ratio * there:
            found[int(one)] = (here, there)
    return found if len(found) <= _MOST_RARE * len(others.unique()) else {}
