"""Batches come ordered by class, or by the size of the target.

## What it does
Compares the classes of each of up to 64 batches with those of all of them together, by the
chi-square statistic. Of a target of one number per sample it takes the eighth in which it lies.

## Why it matters
Each batch then teaches its own class and unlearns the others; batch norm's statistics are those of
one class.

## Passes when
The batches differ by no more than chance allows, or little more.

## Fails when
The statistic is four times its expectation and twenty of its deviations above it, or all labels of
all batches are one class of several.

## What to do
`shuffle=True`, or a shuffled order of the files.

## Source
Bottou 2012 (Stochastic gradient descent tricks), section 4.1; Pearson's chi-square test of
homogeneity, with an effect size beside it because large samples make trifles significant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._data import Data, data_of
from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed

_FEWEST_BATCHES, _FEWEST_SAMPLES = 6, 64
_PARTS, _MOST = 8, 100_000


@check(code="DAT255", causes=("data-not-shuffled",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedLabels:
    """Options of the check."""

    max_excess: float = 4.0
    """The statistic over its expectation."""
    max_deviations: float = 20.0
    """The statistic's own deviations above its expectation."""

    def judge(self, scene: Scene, /) -> Answer:
        labels = _labels(scene.once(data_of))
        total = sum(len(one) for one in labels)
        if len(labels) < _FEWEST_BATCHES or total < _FEWEST_SAMPLES:
            return not_applicable(self, f"{total} labels in {len(labels)} batches are too few")
        counts = _counts(labels)
        if counts.shape[1] < 2:
            return self._one_class(scene, total)
        excess, deviations = _chi_square(counts)
        seen = f"classes differ between batches by {number(excess)} times what chance gives"
        if not (excess > self.max_excess and deviations > self.max_deviations):
            return passed(self, seen, excess)
        return self._failed(seen, excess, f"{seen}, expected about 1")

    def _one_class(self, scene: Scene, total: int) -> Answer:
        outputs = [call["input"] for call in scene.first.called("cross_entropy", "nll_loss")]
        classes = max((one.shape[1] for one in outputs if one.dim() > 1), default=1)
        if classes < 2:
            return not_applicable(self, "there is one class")
        seen = f"all of the first {total} labels are one of {classes} classes"
        return self._failed(seen, math.inf, seen)

    def _failed(self, seen: str, excess: float, what: str) -> Answer:
        return failed(
            self,
            seen,
            excess,
            findings=[
                finding(
                    self,
                    f"{what[0].upper()}{what[1:]}: the data comes ordered by class. Shuffle it "
                    "(shuffle=True).",
                    evidence={"excess": excess},
                )
            ],
        )


def _labels(data: Data) -> list[Tensor]:
    """One class per sample, batch by batch; of a target of numbers the eighth it lies in.

    Raises:
        Unseen: there is no target of one value per sample.
    """
    try:
        return data.labels()
    except Unseen:
        for place in data.targets:
            parts = data.column(place)
            if all(one.is_floating_point() and one.dim() and one[0].numel() == 1 for one in parts):
                values = [one.detach().flatten().float() for one in parts]
                levels = torch.linspace(0, 1, _PARTS + 1)[1:-1].to(values[0])
                edges = torch.cat(values)[:_MOST].quantile(levels)
                return [torch.bucketize(one, edges) for one in values]
        raise


def _counts(labels: list[Tensor]) -> Tensor:
    """How often each class that occurs at all is in each batch. Shape: [batches, classes]."""
    classes = torch.cat(labels).unique()
    return torch.stack([(one[:, None] == classes).sum(0) for one in labels]).double()


def _chi_square(counts: Tensor) -> tuple[float, float]:
    """The statistic over its expectation, and how many deviations it lies above it."""
    sizes, share = counts.sum(1, keepdim=True), counts.sum(0) / counts.sum()
    expected = sizes * share
    statistic = float(((counts - expected) ** 2 / expected.clamp_min(1e-12)).sum())
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    return statistic / freedom, (statistic - freedom) / math.sqrt(2 * freedom)
