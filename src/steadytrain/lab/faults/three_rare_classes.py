"""Three of ten classes make up a hundredth of the training set.

## What is wrong
Never to predict a rare class costs the loss nothing, so the network does not; the validation set
holds all classes alike.

## Remedy
Draw the classes evenly, or weigh them in the loss; look at the recall of each class.

## Source
Buda, Maki, Mazurowski 2018 (A systematic study of the class imbalance problem).
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import NUM_CLASSES
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """Nearly all samples of three drawn classes are replaced by others of the same batch."""
    generator = parts.case.generator("rare classes")
    rare = torch.randperm(NUM_CLASSES, generator=generator)[:3]
    for place, (inputs, labels) in enumerate(parts.batches):
        is_rare = torch.isin(labels, rare) & (torch.rand(len(labels), generator=generator) > 0.03)
        common = torch.nonzero(~torch.isin(labels, rare)).flatten()
        drawn = common[torch.randint(len(common), (len(labels),), generator=generator)]
        source = torch.where(is_rare, drawn, torch.arange(len(labels)))
        parts.batches[place] = (inputs[source], labels[source])


FAULT = fault(
    __name__,
    __doc__,
    cause="class-imbalance",
    on=("mlp", "cnn", "vit"),
    plant=plant,
    seen=("preflight",),
)
