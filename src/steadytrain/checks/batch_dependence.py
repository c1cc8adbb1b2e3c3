"""What the model says of a sample does not depend on the other samples of its batch.

## What it does
In evaluation mode, replaces one sample of the batch by another one, and compares what every module
gives for the samples that stayed.

## Why it matters
A `view` where a `transpose` is meant, a softmax or a mean over dimension 0, or a recurrent layer
that takes the batch for time mix the samples: the loss still falls a little, and the model is wrong
in use, where a sample comes alone.

## Passes when
Nothing changes for the samples that stayed.

## Fails when
The first output that has a row per sample changes; the message names the module in which the
samples first meet.

## What to do
Print the shapes in that module: reduce over the channels (`dim=-1`), transpose before `view`, and
set `batch_first=True` for recurrent layers and attention. Where samples are meant to meet (a
contrast between them), ignore this check.

## Source
Karpathy 2019, "A Recipe for Training Neural Networks": use backprop to chart dependencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from steadytrain.checks._batches import num_samples, take
from steadytrain.checks._positions import next_token
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import FirstStep, ModuleSeen, tensors_in
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Severity

_MIN_SAMPLES: Final = 3


@check(code="INI203", causes=("wrong-axis",), stage="outputs")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDependence:
    """Samples do not meet in the model."""

    max_change: float = 1e-4
    """Largest change for a sample that stayed, of the typical size of a number there."""

    def judge(self, scene: Scene, /) -> Answer:
        batch = scene.batch()
        size = _size_of(scene, batch)
        place = size // 2
        other = _other_sample(batch, size, place)
        before = scene.evaluated
        after = scene.look(
            batch=take(batch, [other if row == place else row for row in range(size)]),
            evaluating=True,
        )
        pairs = self._pairs(before, after, size, place)
        end, given = _first_entry(before, pairs, size)
        if given > self.max_change:
            raise Unseen("the step mixes the samples before the model sees them")
        if end <= self.max_change:
            return passed(self, f"the other samples change by {end:.2g}", end)
        met = [one for one, inside, given in pairs if inside > self.max_change >= given]
        place_of = max(met, key=lambda one: len(one.path)) if met else None
        if place_of is not None and _is_standardised(place_of.output_print):
            return self._standardised(place_of.path, end)
        site = place_of.path if place_of is not None else None
        said = finding(
            self,
            f"When sample {place} of {size} is replaced, what the model says of the others changes "
            f"by {end:.2g} of its size, expected 0{f': they meet in {site}' if site else ''}. Look "
            "there for a reduction over dimension 0, a view where a transpose is meant, or a missing "
            "batch_first=True.",
            severity=Severity.WARNING,
            site=site or None,
            evidence={"change": end, "sample": place},
        )
        return failed(self, f"the other samples change by {end:.2g}", end, findings=[said])

    def _standardised(self, path: str, end: float) -> Answer:
        note = finding(
            self,
            f"{path or 'The model'} standardises over the batch, in evaluation too: what is said of a "
            f"sample changes by {end:.2g} of its size with the others, and one alone cannot be judged. "
            "Keep running statistics, as nn.BatchNorm1d does.",
            severity=Severity.NOTE,
            site=path or None,
            evidence={"change": end},
        )
        return passed(self, f"samples meet in a standardisation, by {end:.2g}", end, notes=[note])

    def _pairs(
        self, before: FirstStep, after: FirstStep, size: int, place: int
    ) -> list[tuple[ModuleSeen, float, float]]:
        """Every module with an output per sample, with the change of its output and its input."""
        return [
            (
                one,
                _change(one.output_print, other.output_print, size, place),
                _change(one.input_print, other.input_print, size, place),
            )
            for one, other in zip(before.modules, after.modules, strict=False)
        ]


def _change(one: Tensor | None, other: Tensor | None, size: int, place: int) -> float:
    """How much the rows that stayed differ, of the typical size of a number; 0 without rows."""
    if one is None or other is None or one.shape != other.shape or len(one) != size:
        return 0.0
    stayed = torch.arange(size, device=one.device) != place
    typical = float(one.abs().mean())
    return float((one - other)[stayed].abs().max()) / typical if typical > 0 else 0.0


def _is_standardised(rows: Tensor | None) -> bool:
    """Whether nearly every column has mean 0 and deviation 1 over the samples: meant to meet."""
    if rows is None or rows.dim() != 2 or len(rows) < _MIN_SAMPLES:
        return False
    means, spreads = rows.mean(dim=0).abs(), rows.std(dim=0, correction=0)
    return bool(((means < 0.05) & ((spreads - 1).abs() < 0.1)).double().mean() > 0.8)


def _first_entry(
    before: FirstStep, pairs: list[tuple[ModuleSeen, float, float]], size: int
) -> tuple[float, float]:
    """The change of output and input of the first call from outside.

    Only of the first such call: after it, a loop of its own may have taken a step.

    Raises:
        Unseen: its output has no row per sample.
    """
    path = before.entries[0].path if before.entries else None
    for one, change, given in pairs:
        if one.path == path and one.output_print is not None and len(one.output_print) == size:
            return change, given
    raise Unseen("the model gives no output per sample")


def _size_of(scene: Scene, batch: Any) -> int:
    """The number of samples, where dimension 0 is sure to count them.

    Raises:
        Unseen: it may count something else, or the model itself mixes samples on purpose.
    """
    size = num_samples(batch)
    if size is None or size < _MIN_SAMPLES:
        raise Unseen("the batch is not made of tensors with a row per sample")
    first = scene.first
    if any(one.training and one.kind.startswith("BatchNorm") for one in _eval_modules(scene)):
        raise Unseen("the step puts batch norm into training mode, where samples meet")
    if not _counts_samples(scene, batch, size, first):
        raise Unseen("dimension 0 of the batch may be time")
    return size


def _eval_modules(scene: Scene) -> tuple[ModuleSeen, ...]:
    return scene.evaluated.modules if scene.has_own_step else ()


def _counts_samples(scene: Scene, batch: Any, size: int, first: FirstStep) -> bool:
    """Whether dimension 0 counts samples: a loader says so, or the shapes leave nothing else."""
    if isinstance(scene.program.batches, DataLoader):
        return scene.program.batches.batch_size == size
    parts = tensors_in(batch)
    if any(part.dim() == 4 for part in parts) or all(part.dim() < 3 for part in parts):
        return all(part.is_floating_point() or part.dim() < 2 for part in parts) or _is_text(scene)
    has_labels = any(part.dim() == 1 for part in parts)
    return bool(first.entries) and (has_labels or _is_text(scene))


def _is_text(scene: Scene) -> bool:
    try:
        next_token(scene)
    except Unseen:
        return False
    return True


def _other_sample(batch: Any, size: int, place: int) -> int:
    """A sample that is not the same as the one at `place`.

    Raises:
        Unseen: all are.
    """
    inputs = [part for part in tensors_in(batch) if part.dim() > 1] or tensors_in(batch)
    for other in range(size):
        if any(not torch.equal(part[other], part[place]) for part in inputs):
            return other
    raise Unseen("all samples of the batch are the same")
