"""The loss functions that hold a softmax or a sigmoid are given raw outputs, not probabilities.

## What it does
Looks whether the rows that reach `cross_entropy` are probabilities (each at least 0, adding up
to 1), and whether what reaches `binary_cross_entropy_with_logits` came out of a sigmoid.

## Why it matters
Probabilities taken for logits differ by at most 1, so the loss cannot fall below
ln(1 + (C - 1) / e) for C classes, and its gradient is weak from the first step on.

## Passes when
The rows are not probabilities: some number is negative or above 1, or they do not add up to 1.

## Fails when
Every row of at least three classes is non-negative and adds up to 1, rows of two come out of a
softmax, or a sigmoid stands before the binary cross entropy with logits.

## What to do
Remove the last softmax or sigmoid and give the loss the outputs before it; apply it only where
probabilities are read.

## Source
PyTorch's documentation of CrossEntropyLoss: "the input is expected to contain the unnormalized
logits"; TheDeepChecker (Ben Braiek & Khomh 2023), redundant output activation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from steadytrain.checks._losses import class_dim, loss_calls, output_of, squash_before
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, passed
from steadytrain.core.finding import Finding, Severity

_LOSSES = ("cross_entropy", "binary_cross_entropy_with_logits")


@check(code="LOS202", causes=("double-softmax",), stage="outputs")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilitiesForLogits:
    """What a loss with a softmax of its own is given is no probability."""

    max_sum_error: float = 0.01
    """How far a row may be from adding up to 1: bf16 rounds each number to a 256th of itself."""

    def judge(self, scene: Scene, /) -> Answer:
        calls = loss_calls(scene, *_LOSSES)
        for call in calls:
            squash = squash_before(scene, call)
            name = "" if squash is None else squash.name
            if call.name == "cross_entropy" and self._are_rows(output_of(call), name):
                return self._softmaxed(call, squash)
            if call.name != "cross_entropy" and name == "sigmoid":
                return self._sigmoided(call, squash)
        output = output_of(calls[0]).float()
        low, high = (float(output.min()), float(output.max())) if output.numel() else (0.0, 0.0)
        return passed(self, f"logits from {low:.3g} to {high:.3g}", high)

    def _are_rows(self, output: Tensor, squash: str) -> bool:
        rows, dim = output.float(), class_dim(output)
        num_classes = rows.shape[dim]
        if not rows.numel() or num_classes < 2 or (num_classes == 2 and squash != "softmax"):
            return False
        sums = rows.sum(dim=dim)
        return bool((rows >= 0).all()) and bool(((sums - 1).abs() <= self.max_sum_error).all())

    def _softmaxed(self, call: Call, squash: Call | None) -> Answer:
        classes = output_of(call).shape[class_dim(output_of(call))]
        floor = math.log(1 + (classes - 1) / math.e)
        message = (
            f"cross_entropy is given rows that add up to 1 and are nowhere negative: probabilities, "
            f"where it expects logits. Its loss over {classes} classes cannot fall below {floor:.3g}. "
            "Remove the softmax before it."
        )
        return failed(self, "rows add up to 1", 1.0, findings=[self._said(message, squash, floor)])

    def _sigmoided(self, call: Call, squash: Call | None) -> Answer:
        floor = math.log(1 + 1 / math.e)
        message = (
            f"{call.name} is given the output of a sigmoid, where it expects logits: for a true "
            f"label its loss cannot fall below {floor:.3g}. Remove the sigmoid before it."
        )
        high = float(output_of(call).float().max())
        said = self._said(message, squash, floor)
        return failed(self, "a sigmoid before a loss with logits", high, findings=[said])

    def _said(self, message: str, squash: Call | None, floor: float) -> Finding:
        site = None if squash is None else squash.path or None
        evidence = {"lowest_loss": floor}
        return finding(self, message, severity=Severity.CRITICAL, site=site, evidence=evidence)
