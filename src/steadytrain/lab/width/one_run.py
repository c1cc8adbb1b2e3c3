"""One coordinate check, and one short training at one rate: the units of work of the experiment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from steadytrain.blocks import coordinate_check
from steadytrain.lab.datasets import load
from steadytrain.lab.lesson.batches import ImageTensors
from steadytrain.lab.lesson.one_run import one_thread
from steadytrain.lab.width.networks import NETWORKS, optimizer_of


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthJob:
    """A network in one parametrisation under one seed."""

    network: str
    optimizer: str
    parametrization: str
    rate: float
    seed: int
    widths: tuple[int, ...]
    """The first one is the base. A training is of the last one only."""
    steps: int
    batch_size: int
    data: Path | None
    trains: bool = False
    """Whether the last width is trained for its loss instead of all being checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthRecord:
    """What one job measured."""

    job: WidthJob
    sizes: Mapping[str, tuple[float, ...]]
    """Site -> size after the last step, by width; empty for a training."""
    growth: Mapping[str, float]
    """Site -> the largest ratio of the widest network's size to the narrowest's."""
    loss: float | None = None
    """Mean training loss of the last tenth of the steps; None for a check, and if it diverged."""


def run_width(job: WidthJob) -> WidthRecord:
    """The sizes of the activations at every width, or the loss at the last one."""
    with one_thread():
        return _trained(job) if job.trains else _checked(job)


def _checked(job: WidthJob) -> WidthRecord:
    images = ImageTensors.of(load(job.data))
    batch = images.train_images[:: len(images.train_images) // job.batch_size]
    labels = images.train_labels[:: len(images.train_labels) // job.batch_size]
    check = coordinate_check(
        lambda width: _built(job, images, width),
        lambda model: _optimizer(job, images, model),
        (batch, labels),
        _loss,
        widths=job.widths,
        steps=job.steps,
        seeds=(job.seed,),
    )
    return WidthRecord(
        job=job,
        sizes={site: tuple(row[-1] for row in rows) for site, rows in check.sizes.items()},
        growth={site: check.growth(site) for site in check.sizes},
    )


def _trained(job: WidthJob) -> WidthRecord:
    images = ImageTensors.of(load(job.data))
    with torch.random.fork_rng():
        torch.manual_seed(job.seed)
        model = _built(job, images, job.widths[-1])
        optimizer = _optimizer(job, images, model)
        losses: list[Tensor] = []
        for _ in range(job.steps):
            chosen = torch.randint(len(images.train_labels), (job.batch_size,))
            loss = _loss(model, (images.train_images[chosen], images.train_labels[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    last = float(torch.stack(losses[-max(1, job.steps // 10) :]).mean())
    return WidthRecord(job=job, sizes={}, growth={}, loss=last if math.isfinite(last) else None)


def _built(job: WidthJob, images: ImageTensors, width: int) -> nn.Module:
    height, row = images.train_images.shape[-2:]
    classes = int(images.train_labels.max()) + 1
    return NETWORKS[job.network]((height, row), width, classes)


def _optimizer(job: WidthJob, images: ImageTensors, model: nn.Module) -> torch.optim.Optimizer:
    def base() -> nn.Module:
        with torch.random.fork_rng():
            return _built(job, images, job.widths[0])

    return optimizer_of(model, base, job.optimizer, job.rate, job.parametrization)


def _loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])
