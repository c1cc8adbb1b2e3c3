"""Labels have the dtype, the shape and the range that the loss function reads.

## What it does
Looks at what `cross_entropy`, `nll_loss` and the binary cross entropies were given as targets on
the first step, before they looked at it themselves.

## Why it matters
Labels that count from 1, one-hot rows of integers or floats where indices are meant end in an
error deep in a kernel (on a GPU, one without a line number), and targets beyond 0 to 1 in a binary
cross entropy end in a loss that falls without bound.

## Passes when
Class indices are whole numbers from 0 to one below the number of outputs, or rows of
probabilities that add up to 1; binary targets lie in 0 to 1.

## Fails when
An index is outside, the dtype is one that the loss does not read, a one-hot row stands where an
index is meant, rows of class probabilities do not add up to 1, or a binary target is outside 0 to 1.

## What to do
Count classes from 0 (`labels - 1`), give indices as `torch.long`, turn one-hot rows into indices
with `argmax(dim=1)`, mark what is to be left out with `ignore_index`, and code two classes as 0 and 1.

## Source
PyTorch's documentation of CrossEntropyLoss and BCEWithLogitsLoss: the ranges of their targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._losses import (
    BINARY,
    CLASSES,
    class_dim,
    ignored,
    indices,
    loss_calls,
    output_of,
    target_of,
)
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, passed
from steadytrain.core.finding import Severity


@check(code="DAT201", causes=("label-encoding",), stage="shapes")
@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEncoding:
    """Targets are what the loss reads."""

    max_sum_error: float = 0.02
    """How far a row of class probabilities may be from adding up to 1: a rounding of fp16."""

    def judge(self, scene: Scene, /) -> Answer:
        calls = loss_calls(scene, *CLASSES, *BINARY)
        wrong = {said: call.name for call in calls for said in self._wrong(call)}
        if wrong:
            findings = [
                finding(self, _sentence(said), severity=Severity.CRITICAL, evidence={"loss": name})
                for said, name in wrong.items()
            ]
            return failed(self, next(iter(wrong)).split(", expected")[0], findings=findings)
        return passed(self, "; ".join(dict.fromkeys(_shown(call) for call in calls)))

    def _wrong(self, call: Call) -> Iterator[str]:
        output, target = output_of(call), target_of(call)
        if call.name in BINARY:
            yield from _outside_unit(call.name, target)
            return
        num_classes = output.shape[class_dim(output)]
        if target.is_floating_point():
            yield from self._floating(call.name, output, target)
        elif target.dtype not in (torch.long, torch.uint8):
            yield (
                f"{call.name} was given class indices of {target.dtype}, expected torch.long (int64): "
                "convert them with .long()."
            )
        elif target.dim() == output.dim() and output.dim() > 1:
            yield (
                f"{call.name} was given targets of shape {list(target.shape)} for outputs of "
                f"{list(output.shape)}, expected one class index per row: take argmax(dim=1) of "
                "one-hot rows, or squeeze a dimension of 1 away."
            )
        else:
            yield from _outside(call, num_classes)

    def _floating(self, name: str, output: Tensor, target: Tensor) -> Iterator[str]:
        if name == "nll_loss" or target.shape != output.shape:
            yield (
                f"{name} was given targets of {target.dtype} and shape {list(target.shape)} for "
                f"outputs of {list(output.shape)}, expected torch.long class indices: convert "
                "them with .long()."
            )
            return
        sums = target.float().sum(dim=class_dim(output))
        error = float((sums - 1).abs().max()) if sums.numel() else 0.0
        if not error <= self.max_sum_error:
            yield (
                f"{name} was given rows of class probabilities that add up to "
                f"{float(sums.min()):.3g} to {float(sums.max()):.3g}, expected 1: use "
                "binary_cross_entropy_with_logits where several classes hold at once."
            )


def _outside(call: Call, num_classes: int) -> Iterator[str]:
    used = indices(call)
    if not used.numel():
        if target_of(call).numel():
            yield (
                f"all {target_of(call).numel()} targets of the first batch are {ignored(call)}, "
                f"which {call.name} leaves out, expected some that count: the mean of nothing is NaN."
            )
        return
    low, high = int(used.min()), int(used.max())
    if low >= 0 and high < num_classes:
        return
    base = "; they seem to count from 1: subtract 1" if low >= 1 and high == num_classes else ""
    yield (
        f"{call.name} was given class indices from {low} to {high} for {num_classes} outputs, "
        f"expected 0 to {num_classes - 1}{base}. Renumber the classes, widen the output layer, or mark "
        "what is to be left out with ignore_index."
    )


def _outside_unit(name: str, target: Tensor) -> Iterator[str]:
    values = target.float()
    values = values[torch.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.numel() else (0.0, 0.0)
    if low < -1e-3 or high > 1 + 1e-3:
        yield (
            f"{name} was given targets from {low:.4g} to {high:.4g}, expected 0 to 1, so its loss "
            "has no lower bound: code the two classes as 0 and 1, or use cross_entropy for more."
        )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] if text.startswith("all ") else text


def _shown(call: Call) -> str:
    used = indices(call)
    if call.name in CLASSES and used.numel():
        classes = output_of(call).shape[class_dim(output_of(call))]
        return f"indices {int(used.min())} to {int(used.max())} for {classes} outputs"
    target = target_of(call).float()
    return f"{call.name}: targets {float(target.min()):.3g} to {float(target.max()):.3g}"
