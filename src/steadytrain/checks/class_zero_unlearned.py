"""Class 0 occurs among the labels of a classifier, and the loss does not pass it over.

## What it does
For a loss over classes with one label per sample, counts the labels of the first batches: whether
all classes but the first occur, and whether `ignore_index` is one of the classes.

## Why it matters
Labels that count from 1 under a head with an output to spare train without an error, and every
prediction is off by one. `ignore_index=0`, copied from a language model where 0 is padding, leaves
one class of a classifier unlearned.

## Passes when
Class 0 occurs, or so few labels were seen that its absence may be chance; no label is ignored.

## Fails when
Class 0 never occurs while every other class does and at least 20 of it would be expected, or
`ignore_index` is a class that occurs among the labels.

## What to do
Subtract 1 from the labels (in training and validation) and give the head as many outputs as there
are classes; leave `ignore_index` at its default of -100.

## Source
Of n labels spread evenly over C classes none is 0 with probability exp(-n / C): 2e-9 at n / C = 20.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from steadytrain.checks._batches import num_samples
from steadytrain.checks._losses import (
    CLASSES,
    class_dim,
    ignored,
    is_same,
    loss_calls,
    output_of,
    target_of,
)
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call, tensors_in
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed


@check(code="DAT203", causes=("label-encoding",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClassZeroUnlearned:
    """The first class is learned like the others."""

    min_expected: int = 20
    """Labels of class 0 that an even spread would give."""

    def judge(self, scene: Scene, /) -> Answer:
        call, labels = _labels(scene)
        num_classes = output_of(call).shape[class_dim(output_of(call))]
        counts = Counter(int(label) for part in labels for label in part)
        total = sum(counts.values())
        left_out = ignored(call)
        if 0 <= left_out < num_classes and counts[left_out]:
            return self._ignored(left_out, counts[left_out] / total, num_classes)
        others = sum(counts[label] > 0 for label in range(1, num_classes))
        expected = total / num_classes
        if counts[0] == 0 and others == num_classes - 1 > 1 and expected >= self.min_expected:
            return self._missing(num_classes, total)
        return passed(self, f"class 0: {counts[0]} of {total} labels", counts[0])

    def _ignored(self, index: int, share: float, num_classes: int) -> Answer:
        said = finding(
            self,
            f"The loss leaves out index {index}, which is {share:.0%} of the labels and one of the "
            f"{num_classes} classes: the class is never learned. Expected an ignore_index that is no "
            "class: leave it at -100.",
            causes=("label-encoding", "padding-in-loss", "class-imbalance"),
            evidence={"ignore_index": index, "fraction": share},
        )
        return failed(self, f"ignore_index {index} is a class", share, findings=[said])

    def _missing(self, num_classes: int, total: int) -> Answer:
        said = finding(
            self,
            f"Class 0 is none of {total} labels, while each of 1 to {num_classes - 1} occurs: the labels "
            "seem to count from 1, and the first output is never used. Subtract 1 from the labels.",
            evidence={"num_labels": total, "num_classes": num_classes},
        )
        return failed(self, f"class 0: 0 of {total} labels", 0.0, findings=[said])


def _labels(scene: Scene) -> tuple[Call, list[Tensor]]:
    """A loss with one label per sample, and these labels in each of the first batches.

    Raises:
        Unseen: there is none.
    """
    for call in loss_calls(scene, *CLASSES):
        target = target_of(call)
        if target.dim() == 1 and not target.is_floating_point():
            labels = list(_same_place(scene, target))
            if labels:
                return call, labels
    raise Unseen("the batches hold no label per sample")


def _same_place(scene: Scene, target: Tensor) -> Iterator[Tensor]:
    """What stands in every batch where the first one holds `target`."""
    batch = scene.batch()
    parts = tensors_in(batch)
    place = next((k for k, part in enumerate(parts) if _is_it(part, target)), None)
    if place is None or num_samples(batch) != len(target):
        return
    for one in scene.batches():
        found = tensors_in(one)
        if place < len(found):
            yield found[place].flatten().cpu()


def _is_it(part: Tensor, target: Tensor) -> bool:
    return part.numel() == target.numel() and part.dim() > 0 and is_same(part.cpu(), target.cpu())
