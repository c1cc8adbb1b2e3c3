"""A loss that expects log-probabilities is given something else.

## What is wrong
The negative log-likelihood gets logits, which it rewards for growing without bound; or it gets
probabilities, whose gradient dies where the network is wrong.

## Remedy
Give the loss `log_softmax` of the logits, or use the cross entropy.

## Source
Of the questions people ask, the one on `nll_loss` that turns negative.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def _scores(model: Any, batch: Any) -> tuple[Tensor, Tensor]:
    """Logits [n, classes] and labels [n] of images or of texts."""
    if isinstance(batch, Tensor):
        return model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()
    return model(batch[0]), batch[1]


def likelihood_of_logits(model: Any, batch: Any) -> Tensor:
    """`nll_loss` without the logarithm and without the softmax."""
    return functional.nll_loss(*_scores(model, batch))


def likelihood_of_probabilities(model: Any, batch: Any) -> Tensor:
    """`nll_loss` without the logarithm."""
    scores, labels = _scores(model, batch)
    return functional.nll_loss(scores.softmax(-1), labels)


def plant(parts: Parts) -> None:
    """The case's form of the mistake."""
    forms = (likelihood_of_logits, likelihood_of_probabilities)
    parts.loss_fn = parts.case.pick("form", forms)


FAULT = fault(
    __name__,
    __doc__,
    cause="loss-input-mismatch",
    on=("mlp", "cnn", "gpt", "resnet"),
    plant=plant,
)
