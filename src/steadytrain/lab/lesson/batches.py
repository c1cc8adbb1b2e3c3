"""Image data as standardised tensors on one device, and shuffled batches of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steadytrain.lab.datasets import Bytes, ImageData


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTensors:
    """All images of a data set on one device.

    Shape: images [n, 1, height, width], labels [n].
    Dtype: float32 (mean 0 and deviation 1 over the training pixels), int64.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    @classmethod
    def of(cls, data: ImageData, device: str = "cpu") -> ImageTensors:
        """`data` on `device`, standardised by its training pixels alone."""
        scale = data.scale
        return cls(
            train_images=_standardised(data.train_images, scale).to(device),
            train_labels=_labels(data.train_labels).to(device),
            test_images=_standardised(data.test_images, scale).to(device),
            test_labels=_labels(data.test_labels).to(device),
        )


class ShuffledBatches:
    """Batches in an order that depends on the seed and the epoch alone.

    Iterating once is one epoch; the last batch holds what is left over. No worker processes:
    the images lie on the device already.

    Args:
        images: [n, ...].
        labels: [n].
        batch_size: images per batch.
        seed: of the shuffles.
    """

    def __init__(self, images: Tensor, labels: Tensor, batch_size: int, seed: int) -> None:
        self._images, self._labels = images, labels
        self._batch_size = batch_size
        self._seed = seed
        self.epoch = 0
        """The epoch that the next iteration will be, counted from 0."""

    def __len__(self) -> int:
        return -(-len(self._labels) // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        entropy = np.random.SeedSequence((self._seed, self.epoch)).generate_state(1)
        generator = torch.Generator().manual_seed(int(entropy[0]))
        order = torch.randperm(len(self._labels), generator=generator).to(self._labels.device)
        self.epoch += 1
        for picked in order.split(self._batch_size):
            yield self._images[picked], self._labels[picked]

    def take(self, num_batches: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The next `num_batches` batches, over as many epochs as that takes."""
        epochs = itertools.chain.from_iterable(itertools.repeat(self))
        return itertools.islice(epochs, num_batches)


def _standardised(images: Bytes, scale: tuple[float, float]) -> Tensor:
    mean, deviation = scale
    pixels = torch.from_numpy(images.astype(np.float32)).unsqueeze(1)
    return pixels.sub_(mean).div_(deviation).to(memory_format=torch.channels_last)


def _labels(labels: Bytes) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64))
