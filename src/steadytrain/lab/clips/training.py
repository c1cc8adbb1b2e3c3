"""A small residual network that begins at zero, trained through one fault in its gradients."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.clips.handlers import build
from steadytrain.lab.datasets import load
from steadytrain.lab.lesson.batches import ImageTensors, ShuffledBatches

WIDTH: Final = 64
RATE: Final = 2e-3
BATCH_SIZE: Final = 64
SPIKE: Final = 1000.0
"""Huang et al. 2025 (SPAM) report spikes up to 1000 times the mean."""


class ResidualNet(nn.Module):
    """Two residual branches whose last layers begin at zero, as Fixup and nanochat begin them.

    Shape: images [n, ...] -> logits [n, num_classes].
    """

    def __init__(self, pixels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Linear(pixels, WIDTH, bias=False)
        self.inner = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.outer = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.head = nn.Linear(WIDTH, num_classes)
        for weight in self.outer.parameters():
            nn.init.zeros_(weight)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.stem(images.flatten(1))
        for inner, outer in zip(self.inner, self.outer, strict=True):
            hidden = hidden + outer(functional.gelu(inner(hidden)))
        return self.head(hidden)


Fault = Callable[[ResidualNet, torch.Generator], None]
"""Spoils the gradients of one step."""


def _spike(model: ResidualNet, generator: torch.Generator) -> None:
    for weight in model.parameters():
        assert weight.grad is not None
        noise = torch.randn(weight.shape, generator=generator)
        weight.grad = noise * (SPIKE * weight.grad.norm() / noise.norm())


def _element(value: float) -> Fault:
    def spoil(model: ResidualNet, _: torch.Generator) -> None:
        grad = model.stem.weight.grad
        assert grad is not None
        grad[0, 0] = value

    return spoil


def _tensor(value: float) -> Fault:
    def spoil(model: ResidualNet, _: torch.Generator) -> None:
        model.stem.weight.grad = torch.full_like(model.stem.weight, value)

    return spoil


FAULTS: Final[dict[str, tuple[Fault, int] | None]] = {
    "none": None,
    "one NaN": (_element(math.nan), 1),
    "one Inf": (_element(math.inf), 1),
    "one tensor of 1e30": (_tensor(1e30), 1),
    "spike x1000, 1 step": (_spike, 1),
    "spike x1000, 5 steps": (_spike, 5),
}
"""What is done to the gradients, and for how many steps from the middle of the run on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One run of one handler through one fault."""

    handler: str
    fault: str
    seed: int
    steps: int
    data: Path | None = None
    max_images: int | None = None

    @property
    def name(self) -> str:
        return f"{self.handler}, fault: {self.fault}, seed {self.seed}"

    def run(self) -> TrainingRecord:
        """The network is trained to the end, whatever its weights are by then."""
        images, num_classes = _images(self.data, self.max_images)
        torch.manual_seed(self.seed)
        model = ResidualNet(images.train_images[0].numel(), num_classes)
        middle = _train(self, model, images)
        return TrainingRecord(
            job=self,
            loss=_evaluated(model, images),
            is_finite=all(bool(torch.isfinite(one).all()) for one in model.parameters()),
            inner_movement=_distance(model.inner, middle.inner),
            stem_movement=_distance(model.stem, middle.stem),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """What became of a run."""

    job: TrainingJob
    loss: float
    """Cross-entropy on the test images after the last step."""
    is_finite: bool
    """Whether every weight is."""
    inner_movement: float
    """L2 distance the layers behind zero-initialised projections moved in the second half."""
    stem_movement: float
    """The same of the layer that the fault hit: it moves no more once Adam's moment is infinite."""


def _train(job: TrainingJob, model: ResidualNet, images: ImageTensors) -> ResidualNet:
    """The run; returns the network as it was just after the fault, in the middle."""
    parameters = list(model.parameters())
    optimizer, clip = build(job.handler, parameters, RATE)
    spoil, length = FAULTS[job.fault] or (None, 0)
    generator = torch.Generator().manual_seed(job.seed)
    batches = ShuffledBatches(images.train_images, images.train_labels, BATCH_SIZE, job.seed)
    begin, middle = job.steps // 2, model
    for step, (pictures, labels) in enumerate(batches.take(job.steps)):
        optimizer.zero_grad()
        functional.cross_entropy(model(pictures), labels).backward()
        if spoil is not None and begin <= step < begin + length:
            spoil(model, generator)
        clip(parameters)
        optimizer.step()
        if step == begin + max(length, 1) - 1:
            middle = copy.deepcopy(model)
    return middle


@torch.no_grad()
def _evaluated(model: ResidualNet, images: ImageTensors) -> float:
    return float(functional.cross_entropy(model(images.test_images), images.test_labels))


def _distance(now: nn.Module, then: nn.Module) -> float:
    moved = [
        a.detach() - b.detach() for a, b in zip(now.parameters(), then.parameters(), strict=True)
    ]
    return float(torch.stack([one.norm() for one in moved]).norm())


@lru_cache(maxsize=2)
def _images(folder: Path | None, max_images: int | None) -> tuple[ImageTensors, int]:
    data = load(folder)
    if max_images is not None:
        data = data.head(max_images, max_images)
    return ImageTensors.of(data), data.num_classes
