"""Batches of labelled images for a case: the embedded digits, or MNIST and Fashion-MNIST."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from steadytrain.lab.datasets import load
from steadytrain.lab.zoo.case import Case

Batch = tuple[Tensor, Tensor]

NUM_TRAIN: Final = 4096
NUM_TEST: Final = 512
_FOLDERS: Final = ("mnist", "fashion_mnist")


@cache
def _standardised(folder: Path | None) -> tuple[Batch, Batch]:
    """Training and test images [n, 1, height, width] at zero mean and unit variance, labels."""
    data = load(folder).head(NUM_TRAIN, NUM_TEST)
    mean, deviation = data.scale
    halves = (
        (data.train_images, data.train_labels),
        (data.test_images, data.test_labels),
    )
    train, test = (
        ((torch.from_numpy(x).float().unsqueeze(1) - mean) / deviation, torch.from_numpy(y).long())
        for x, y in halves
    )
    return train, test


def images(case: Case, *, batch_size: int = 64, num_batches: int = 40) -> tuple[list[Batch], Batch]:
    """Shuffled training batches, and the test images as one batch."""
    folder = None if case.data is None else case.data / case.pick("data set", _FOLDERS)
    (inputs, labels), test = _standardised(folder)
    generator = case.generator("batches")
    order = torch.cat([torch.randperm(len(inputs), generator=generator) for _ in range(4)])
    chosen = order[: batch_size * num_batches].split(batch_size)
    return [(inputs[places], labels[places]) for places in chosen], test


def accuracy(model: torch.nn.Module, test: Batch) -> float:
    """The share of test images that are classified rightly, in evaluation mode, mode restored."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        right = model(test[0]).argmax(dim=-1) == test[1]
    model.train(was_training)
    return float(right.float().mean())
