"""A penalty on the weights drowns what the loss says of the data.

## What it does
Computes the gradient of the first batch and asks of every matrix how far it points along the matrix
itself.

## Why it matters
The gradient of a penalty on the squared weights is a multiple of the weights. Where that is nearly
all of the gradient, a step shrinks everything and learns next to nothing.

## Passes when
The gradient of most elements stands across the weights, as the gradient of a loss on data does.

## Fails when
For nine tenths of the elements in matrices the cosine between weight and gradient is above 0.95.

## What to do
Divide the penalty's factor by ten until the loss on the data falls, or use the optimizer's weight
decay.

## Source
Krogh & Hertz 1992 (A simple weight decay can improve generalization): the factor decides which of
both terms is learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="LOS250", causes=("loss-term-scale", "weight-decay-too-high"), stage="start", slow=True)
@dataclass(frozen=True, slots=True, kw_only=True)
class DrowningPenalty:
    """Options of the check."""

    max_cosine: float = 0.95
    """Between a weight and its gradient; random directions have next to 0."""
    min_share: float = 0.9
    """Share of the elements for which it must be above."""

    def judge(self, scene: Scene, /) -> Answer:
        rows = _cosines(scene)
        total = sum(count for _, count in rows)
        if not total:
            return not_applicable(self, "no matrix got a gradient")
        along = sum(count for cosine, count in rows if cosine > self.max_cosine) / total
        seen = f"the gradient of {along:.0%} of the elements points along the weights"
        if along < self.min_share:
            return passed(self, seen, along)
        largest = max(cosine for cosine, _ in rows)
        return failed(
            self,
            seen,
            along,
            findings=[
                finding(
                    self,
                    f"For {along:.0%} of the elements the gradient is a multiple of the weights (cosine "
                    f"up to {number(largest)}, expected near 0): a penalty drowns the data. Divide its "
                    "factor by ten, or more.",
                    evidence={"along_fraction": along, "largest_cosine": largest},
                )
            ],
        )


def _cosines(scene: Scene) -> list[tuple[float, int]]:
    """Cosine and size of every matrix with a gradient."""
    with scene.trial() as trial:
        own = [p for p in trial.model.parameters() if p.requires_grad and p.dim() > 1]
        if not own:
            return []
        loss = trial.loss(scene.batch())
        gradients = torch.autograd.grad(loss, own, allow_unused=True)
        pairs = zip(own, gradients, strict=True)
        return [
            (_cosine(p, g), p.numel()) for p, g in pairs if g is not None and g.any() and _varies(p)
        ]


def _varies(weight: Tensor) -> bool:
    """Whether its elements differ: those of equal units have a gradient of equal elements too."""
    values = weight.detach().double()
    return float(values.std()) > 0.1 * float(values.square().mean().sqrt())


def _cosine(weight: Tensor, gradient: Tensor) -> float:
    one, other = weight.detach().double().flatten(), gradient.to_dense().double().flatten()
    return float((one @ other) / (one.norm() * other.norm()).clamp_min(1e-300))
