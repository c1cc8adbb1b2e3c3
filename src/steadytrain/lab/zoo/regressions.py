"""A regression on a table of features with a smooth, noisy target."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Case, Parts
from steadytrain.lab.zoo.classifiers import mlp

Batch = tuple[Tensor, Tensor]

NUM_FEATURES: Final = 8


def table(case: Case, num_rows: int = 2048) -> Batch:
    """Standardised features [n, 8] and a standardised target [n, 1] that they explain in part."""
    generator = case.generator("table")
    features = torch.randn(num_rows, NUM_FEATURES, generator=generator)
    weights = torch.randn(NUM_FEATURES, generator=generator)
    smooth = (features @ weights).sin() + features[:, 0] * features[:, 1]
    target = smooth + 0.1 * torch.randn(num_rows, generator=generator)
    return features, ((target - target.mean()) / target.std()).unsqueeze(1)


def squared_error(model: nn.Module, batch: Batch) -> Tensor:
    """The mean squared error of a batch."""
    features, target = batch
    return functional.mse_loss(model(features), target)


def explained(model: nn.Module, batch: Batch) -> float:
    """The share of the target's variance that is explained, in evaluation mode, mode restored."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        share = 1.0 - float(squared_error(model, batch) / batch[1].var())
    model.train(was_training)
    return share


def _build(case: Case) -> Parts:
    features, target = table(case)
    width, depth = case.pick("width", (32, 64)), case.pick("depth", (2, 3))
    cut = len(features) - 256
    places = torch.randperm(cut, generator=case.generator("batches")).split(48)
    return Parts(
        case=case,
        model=mlp([NUM_FEATURES, *([width] * depth), 1]),
        batches=[(features[some], target[some]) for some in places[:-1]],
        loss_fn=squared_error,
        validation=(features[cut:], target[cut:]),
        metric_fn=explained,
        rate=case.pick("rate", (1e-3, 2e-3, 3e-3)),
    )


BUILDERS: Final = {"tabular": _build}
