"""A softmax runs over the samples of the batch.

## What it does
Looks at every softmax and log-softmax of the first batch: along which dimension it runs, and
whether that is the one of the samples.

## Why it matters
The samples of a batch then compete for each class: a score says which sample is most of a class,
and not which class a sample is. What is evaluated alone gets another answer than in company.

## Passes when
No softmax runs along the first dimension where that counts the samples, which the targets must
show.

## Fails when
One does, on scores of another width than the batch. Square scores of samples against samples, as in
contrastive learning, pass.

## What to do
`dim=-1`, or the dimension of the classes.

## Source
PyTorch warns of a softmax without a dimension because the one it picks is not the one meant.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from steadytrain.checks._batches import num_samples
from steadytrain.checks._layout import samples_come_first
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="INI256", causes=("wrong-axis",), stage="outputs")
@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxOverBatch:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        size = num_samples(scene.batch())
        calls = scene.first.called("softmax", "log_softmax")
        if size is None or size < 2 or not calls:
            return not_applicable(self, "no softmax, or no known number of samples")
        if not samples_come_first(scene, size):
            return not_applicable(self, "the data does not tell samples from time steps")
        wrong = [call for call in calls if _runs_over(call, size)]
        if not wrong:
            return passed(self, f"none of {len(calls)} runs over the {size} samples", 0)
        path = wrong[0].path
        return failed(
            self,
            f"{len(wrong)} of {len(calls)} run over the {size} samples",
            len(wrong),
            findings=[
                finding(
                    self,
                    f"A {wrong[0].name} in {path or 'the loss'} runs over the {size} samples of the "
                    f"batch (shape {list(wrong[0].output.shape)}, dim 0): samples compete with each "
                    "other. Give the dimension of the classes, dim=-1.",
                    site=path or None,
                    evidence={"num_samples": size, "shape": tuple(wrong[0].output.shape)},
                )
            ],
        )


def _runs_over(call: Call, size: int) -> bool:
    values, dim = call["input"], call["dim"]
    if not isinstance(values, Tensor) or not isinstance(dim, int) or values.dim() < 2:
        return False
    is_first = dim % values.dim() == 0
    return is_first and values.shape[0] == size and size not in values.shape[1:]
