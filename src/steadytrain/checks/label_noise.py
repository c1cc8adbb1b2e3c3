"""Equal inputs carry different labels.

## What it does
Looks among up to 64 batches for samples that are equal in every number, and for those of them
whose labels differ; and asks of the ten nearest samples of each one whether they agree with it.

## Why it matters
Nothing can learn to tell equal inputs apart: training stalls at what they disagree about, or
memorises it, and validation does not follow.

## Passes when
Equal samples have equal labels, nearly always. Where the nearest samples often agree with each other
against a sample's own label, a note says so: noise and classes that overlap look alike.

## Fails when
Among ten groups of equal samples or more, a fifth disagree, in data most of which are different
samples.

## What to do
Look at some of them: wrong labels, labels of other samples, or an input that lacks what tells them
apart.

## Source
Northcutt, Athalye, Mueller 2021 (Pervasive label errors in test sets).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._data import Data, data_of
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity

_GROUPS = 10
_DISTINCT = 0.4
"""Share of different samples below which inputs are few by nature, and labels chance."""
_NEIGHBOURS = 10
_MOST = 2048
_FEWEST = 256


@check(code="DAT258", causes=("label-noise", "label-misaligned"), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNoise:
    """Options of the check."""

    max_contradicted: float = 0.2
    """Share of the groups of equal samples that may disagree."""
    note_contradicted: float = 0.1
    """Share of samples whose neighbours contradict them from which on a note says so."""

    def judge(self, scene: Scene, /) -> Answer:
        samples, labels = _samples(scene.once(data_of))
        if len(samples) < _FEWEST or len(labels.unique()) < 2:
            return not_applicable(self, f"{len(samples)} labelled samples are too few")
        groups, torn = _contradictions(samples, labels)
        is_rich = len(samples.unique(dim=0)) > _DISTINCT * len(samples)
        if is_rich and groups >= _GROUPS and torn > self.max_contradicted * groups:
            return self._failed(groups, torn)
        share = _contradicted(samples, labels)
        seen = f"{torn} of {groups} groups of equal samples disagree, neighbours contradict {share:.0%}"
        if share < self.note_contradicted:
            return passed(self, seen, share)
        note = finding(
            self,
            f"The ten nearest samples agree against the label of {share:.0%} of the samples: wrong "
            "labels, or classes that overlap. Look at some of them.",
            severity=Severity.NOTE,
            evidence={"contradicted": share},
        )
        return passed(self, seen, share, notes=[note])

    def _failed(self, groups: int, torn: int) -> Answer:
        return failed(
            self,
            f"{torn} of {groups} groups of equal samples disagree",
            torn / groups,
            findings=[
                finding(
                    self,
                    f"In {torn} of {groups} groups of equal samples the labels differ: nothing can tell "
                    "them apart. Look at some of them for wrong or shifted labels.",
                    evidence={"num_groups": groups, "num_contradicted": torn},
                )
            ],
        )


def _samples(data: Data) -> tuple[Tensor, Tensor]:
    """Inputs as rows, and their labels. Shape: [n, features], [n]."""
    labels = torch.cat(data.labels())[:_MOST]
    for place in data.inputs:
        rows = data.pooled(place, _MOST)
        if rows.is_floating_point() and rows.dim() > 1 and len(rows) == len(labels):
            return rows.flatten(1).float(), labels
    raise Unseen("no input of floating point numbers with one label per sample")


def _contradictions(samples: Tensor, labels: Tensor) -> tuple[int, int]:
    """Groups of equal samples, and those of them with more than one label."""
    _, which, sizes = samples.unique(dim=0, return_inverse=True, return_counts=True)
    repeated = sizes > 1
    least = torch.full_like(sizes, int(labels.max()) + 1).scatter_reduce(0, which, labels, "amin")
    most = torch.full_like(sizes, int(labels.min()) - 1).scatter_reduce(0, which, labels, "amax")
    return int(repeated.sum()), int((repeated & (least != most)).sum())


def _contradicted(samples: Tensor, labels: Tensor) -> float:
    """The share of samples whose neighbours agree by seven of ten on another class."""
    distance = torch.cdist(samples, samples)
    distance.fill_diagonal_(torch.inf)
    near = labels[distance.topk(_NEIGHBOURS, largest=False).indices]
    classes = labels.unique()
    votes = (near[:, :, None] == classes).sum(1)
    most, winner = votes.max(1)
    return float(((most >= 7) & (classes[winner] != labels)).float().mean())
