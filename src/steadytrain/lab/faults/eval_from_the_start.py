"""The model is in evaluation mode from the first step on.

## What is wrong
It comes out of a loading function that ends in `eval()`: batch norm uses running statistics that
nothing has ever filled, so that the network is trained without normalisation.

## Remedy
`model.train()` before the loop.

## Source
`from_pretrained` of Hugging Face's transformers returns models in evaluation mode.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.dropping import with_dropout
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """Evaluation mode."""
    parts.model.eval()


FAULT = fault(
    __name__,
    __doc__,
    cause="eval-mode-in-training",
    on=("resnet", "gpt", "cnn"),
    plant=plant,
    prepare=with_dropout,
)
