"""One term of the loss drowns the others.

## What is wrong
A side term weighs so much that the network serves it alone: the divergence of a generative model,
the entropy of a policy.

## Remedy
Weigh the term so that its gradient is a fraction of the main one's.

## Source
The weight of a divergence summed over latent units beside an error averaged over pixels.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.generators import evidence_bound
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.policies import ENTROPY_WEIGHT
from steadytrain.lab.zoo.policy_terms import entropy_of, standard, walked


def weighed(architecture: str, factor: float) -> Any:
    """The architecture's loss, its side term times `factor`."""

    def generative(model: Any, batch: Any) -> Tensor:
        pictures = batch[0].flatten(1)
        _, mean, log_variance = model(pictures)
        inside = mean.square() + log_variance.exp() - 1.0 - log_variance
        side = 0.05 * inside.sum(-1).mean() / pictures.shape[1]
        return evidence_bound(model, batch) + (factor - 1.0) * side

    def policy(model: Any, batch: int) -> Tensor:
        seen = walked(model, batch)
        main = -(standard(seen.advantages) * seen.chosen).mean()
        critic = functional.mse_loss(seen.values, seen.gains)
        return main + 0.5 * critic - factor * ENTROPY_WEIGHT * entropy_of(seen.logits)

    return {"vae": generative, "actor-critic": policy}[architecture]


def prepare(parts: Parts) -> None:
    """The side term at its healthy weight."""
    parts.loss_fn = weighed(parts.case.architecture, 1.0)


def plant(parts: Parts) -> None:
    """The side term some thousand times as heavy."""
    factor = parts.case.pick("factor", (1e3, 3e3, 1e4))
    parts.loss_fn = weighed(parts.case.architecture, factor)


FAULT = fault(
    __name__,
    __doc__,
    cause="loss-term-scale",
    also=("posterior-collapse",),
    on=("vae", "actor-critic"),
    prepare=prepare,
    plant=plant,
)
