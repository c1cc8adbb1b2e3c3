"""One run on digits with a window of poisoned batches in its middle, under one way to handle it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from steadytrain.guard import Guard
from steadytrain.lab.datasets import load
from steadytrain.lab.lesson.batches import ImageTensors, ShuffledBatches

WIDTH: Final = 64
RATE: Final = 2e-3
BATCH_SIZE: Final = 64
AVERAGE: Final = 0.95

Batch = tuple[Tensor, Tensor]

BARE: Final = "clip only"
BY_HAND: Final = "clip, skip a loss that is not finite"
GUARD: Final = "guard"
WAYS: Final = (BARE, BY_HAND, GUARD)


def _one_nan(pictures: Tensor) -> Tensor:
    spoilt = pictures.clone()
    spoilt.view(len(spoilt), -1)[0, 0] = math.nan
    return spoilt


def _too_large(pictures: Tensor) -> Tensor:
    return pictures * 1e6


POISONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "one NaN pixel": _one_nan,
    "pictures x 1e6": _too_large,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run; a clean one has no poison and a window of 0."""

    way: str
    poison: str
    window: int
    seed: int
    steps: int
    data: Path | None = None
    max_images: int | None = None

    @property
    def name(self) -> str:
        return f"{self.way}, {self.poison} in {self.window} batches, seed {self.seed}"

    def run(self) -> Record:
        """The network has seen as many good batches as the clean run, and the window beside."""
        images, num_classes = _images(self.data, self.max_images)
        loop = _Loop(self.seed, images.train_images[0].numel(), num_classes)
        num_batches, num_left_out = loop.train(self, images)
        return Record(
            job=self,
            accuracy=loop.accuracy(loop.model, images),
            average_accuracy=loop.accuracy(loop.average, images),
            is_finite=all(bool(one.isfinite().all()) for one in loop.numbers()),
            num_extra=num_batches - self.steps - self.window,
            num_left_out=num_left_out,
            digest=loop.digest(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of a run."""

    job: Job
    accuracy: float
    """Of the test images, with the running statistics."""
    average_accuracy: float
    """The same of the average of the weights."""
    is_finite: bool
    """Whether every weight and statistic is."""
    num_extra: int
    """Batches that were trained on once more."""
    num_left_out: int
    digest: str
    """SHA-256 of every weight, statistic and average."""


class _Loop:
    """A network with batch norm and an average of its weights."""

    def __init__(self, seed: int, pixels: int, num_classes: int) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, WIDTH),
            nn.BatchNorm1d(WIDTH),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(WIDTH, num_classes),
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE)
        update = get_ema_multi_avg_fn(AVERAGE)
        self.average = AveragedModel(self.model, multi_avg_fn=update, use_buffers=True)

    def train(self, job: Job, images: ImageTensors) -> tuple[int, int]:
        """Returns the batches that were trained on, and the steps that were left out."""
        batches = list(_batches(job, images))
        if job.way == GUARD:
            return self._guarded(batches)
        num_left_out = 0
        for batch in batches:
            loss = self._loss(batch)
            if job.way == BY_HAND and not bool(loss.isfinite()):
                num_left_out += 1
                continue
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.average.update_parameters(self.model)
        return len(batches), num_left_out

    def _guarded(self, batches: list[Batch]) -> tuple[int, int]:
        guard = Guard(snapshot_every=20)
        guard.attach(self.model, self.optimizer, ema=self.average, clip=1.0)
        num_batches = 0
        for batch in guard.batches(batches):
            num_batches += 1
            with guard.step(batch) as step:
                step.backward(self._loss(batch))
        guard.detach()
        return num_batches, guard.num_skipped

    def _loss(self, batch: Batch) -> Tensor:
        return functional.cross_entropy(self.model(batch[0]), batch[1])

    @torch.no_grad()
    def accuracy(self, model: nn.Module, images: ImageTensors) -> float:
        model.eval()
        found = model(images.test_images).argmax(1)
        model.train()
        return float((found == images.test_labels).float().mean())

    def numbers(self) -> Iterator[Tensor]:
        for model in (self.model, self.average):
            yield from (one for one in model.state_dict().values() if one.is_floating_point())

    def digest(self) -> str:
        digest = hashlib.sha256()
        for one in self.numbers():
            digest.update(one.detach().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _batches(job: Job, images: ImageTensors) -> Iterator[Batch]:
    """The good batches in their order, and the window beside them in the middle."""
    good = ShuffledBatches(images.train_images, images.train_labels, BATCH_SIZE, job.seed)
    for step, (pictures, labels) in enumerate(good.take(job.steps)):
        if step == job.steps // 2:
            for _ in range(job.window):
                yield POISONS[job.poison](pictures), labels
        yield pictures, labels


@lru_cache(maxsize=2)
def _images(folder: Path | None, max_images: int | None) -> tuple[ImageTensors, int]:
    data = load(folder)
    if max_images is not None:
        data = data.head(max_images, max_images)
    return ImageTensors.of(data), data.num_classes
