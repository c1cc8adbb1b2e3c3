"""Images go in as they are stored, from 0 to 255.

## What is wrong
The first layer, initialised for inputs of unit variance, is given numbers around a hundred of one
sign: its outputs are a hundred times too large, and so are the logits and the first losses.

## Remedy
Subtract the mean of the training images and divide by their standard deviation.

## Source
The data checks of TheDeepChecker and UMLAUT; LeCun et al. 1998 (Efficient BackProp), section 4.3.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import fault


def _stored(batch: Batch) -> Batch:
    """The pictures on the scale of bytes, which the lowest value of a picture begins."""
    pictures, labels = batch
    return (60.0 * (pictures - pictures.min())).clamp(0.0, 255.0).round(), labels


def plant(parts: Parts) -> None:
    """Training and validation images alike."""
    parts.batches = [_stored(batch) for batch in parts.batches]
    parts.validation = _stored(parts.validation)


FAULT = fault(
    __name__, __doc__, cause="data-not-normalized", on=("mlp", "vit", "vae"), plant=plant, steps=120
)
