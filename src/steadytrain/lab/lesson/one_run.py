"""One run of one configuration: a plain training loop and what it measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.datasets import ImageData, load
from steadytrain.lab.lesson.batches import ImageTensors, ShuffledBatches
from steadytrain.lab.lesson.recipes import (
    PEAK_RATE,
    Recipe,
    find_recipe,
    weights_of,
)
from steadytrain.lab.lesson.watched import Watcher

Floats = NDArray[np.float64]

NAMED_STEPS: Final = (100, 500, 2000)
"""Steps at which the lesson draws each layer's gradient norm."""
NAMED_FRACTIONS: Final = (0.05, 0.25, 1.0)
"""The same for a run that is too short for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """What one run is: plain data, so that it can be sent to another process."""

    recipe: str
    seed: int
    epochs: float
    batch_size: int
    rate_factor: float = 1.0
    """Factor on the recipe's peak learning rate."""
    data: Path | None = None
    max_images: int | None = None
    """Training images used, and as many test images; all if None."""
    run_dir: Path | None = None
    """Where the run is watched; it is not if None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What one run measured.

    Shape: the vectors are [steps done].
    """

    job: RunJob
    num_steps: int
    """Steps the run was meant to have; fewer were done where the loss became non-finite."""
    steps_per_epoch: int
    num_classes: int
    losses: Floats
    """Training loss per step, in training mode, before the step's update."""
    grad_norms: Floats
    """Total gradient norm before clipping."""
    grad_norms_clipped: Floats
    """The same after it: what the lesson logs."""
    rates: Floats
    layer_norms: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])
    """Gradient norm of each layer's weight before clipping, by step and layer."""
    run_dir: Path | None = None
    """Where the watched run is, which need not be the folder that was asked for."""
    validation_loss: float
    validation_accuracy: float
    """Both in evaluation mode after the last step; NaN where the loss became non-finite."""

    @property
    def is_complete(self) -> bool:
        """Whether every loss was finite to the end."""
        return len(self.losses) == self.num_steps and bool(np.isfinite(self.losses).all())

    @property
    def first_epoch_loss(self) -> float:
        """Mean training loss over the first epoch, as the lesson reports it."""
        return float(self.losses[: self.steps_per_epoch].mean())

    @property
    def final_loss(self) -> float:
        """Mean training loss over the last epoch, or the last tenth of a run of one epoch."""
        return float(self.losses[-self.final_steps :].mean())

    @property
    def final_steps(self) -> int:
        """Steps that `final_loss` is the mean of."""
        tenth = max(1, self.num_steps // 10)
        return self.steps_per_epoch if self.num_steps >= 2 * self.steps_per_epoch else tenth


def run_job(job: RunJob) -> RunRecord:
    """The run that `job` describes, on the CPU with one thread; the same job, the same bits.

    Torch's global generator and number of threads are as before afterwards.

    Raises:
        UnknownNameError: there is no such recipe.
        UsageError: the data cannot be read.
    """
    recipe = find_recipe(job.recipe)
    data, tensors = _prepared(job.data, job.max_images)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        return _train(job, recipe, data, tensors)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes with one thread inside: these networks are too small for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def named_steps(num_steps: int) -> list[int]:
    """The three steps whose layers are drawn: 100, 500, 2000, or 5%, 25%, 100% of the run."""
    if num_steps > max(NAMED_STEPS):
        return list(NAMED_STEPS)
    return [min(round(num_steps * share), num_steps - 1) for share in NAMED_FRACTIONS]


@lru_cache(maxsize=1)
def _prepared(folder: Path | None, max_images: int | None) -> tuple[ImageData, ImageTensors]:
    """The data as tensors, kept for the next run of this process."""
    data = load(folder)
    if max_images is not None:
        data = data.head(max_images, max_images)
    return data, ImageTensors.of(data)


def _train(job: RunJob, recipe: Recipe, data: ImageData, tensors: ImageTensors) -> RunRecord:
    batches = ShuffledBatches(tensors.train_images, tensors.train_labels, job.batch_size, job.seed)
    num_steps = max(1, round(job.epochs * len(batches)))
    model = recipe.build(data.num_classes)
    rates = recipe.rates(num_steps, PEAK_RATE * job.rate_factor)
    optimizer = recipe.optimizer(model, rates[0])
    rows: list[tuple[float, float, float]] = []
    layer_norms: dict[int, dict[str, float]] = {}
    drawn = set(named_steps(num_steps))
    with Watcher(model, optimizer, job.run_dir, f"{recipe.name} on {data.name}") as watcher:
        for step, (images, labels) in enumerate(batches.take(num_steps)):
            _set_rate(optimizer, rates[step])
            loss = functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            if step in drawn:
                layer_norms[step] = _layer_norms(model)
            before, after = _clip(model, recipe, watcher)
            optimizer.step()
            rows.append((loss.item(), before, after))
            watcher.log(loss=loss)
            if not math.isfinite(rows[-1][0]):
                break
        is_finite = math.isfinite(rows[-1][0])
        quality = _evaluate(model, tensors) if is_finite else (math.nan, math.nan)
        watcher.log(validation_loss=quality[0], validation_metric=quality[1])
    columns = np.array(rows, dtype=np.float64).T
    return RunRecord(
        job=job,
        num_steps=num_steps,
        steps_per_epoch=len(batches),
        num_classes=data.num_classes,
        losses=columns[0],
        grad_norms=columns[1],
        grad_norms_clipped=columns[2],
        rates=np.array(rates[: len(rows)]),
        layer_norms=layer_norms,
        run_dir=watcher.run_dir,
        validation_loss=quality[0],
        validation_accuracy=quality[1],
    )


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _layer_norms(model: nn.Module) -> dict[str, float]:
    grads = [weight.grad for weight in weights_of(model) if weight.grad is not None]
    names = [f"conv {place + 1}" for place in range(len(grads) - 1)] + ["classifier"]
    return {name: float(grad.norm()) for name, grad in zip(names, grads, strict=True)}


def _clip(model: nn.Module, recipe: Recipe, watcher: Watcher) -> tuple[float, float]:
    """The total gradient norm before clipping and after it."""
    if recipe.clip is None:
        norm = float(_total_norm(model))
        return norm, norm
    before = float(watcher.clip_grad_norm_(recipe.clip))
    return before, float(_total_norm(model))


def _total_norm(model: nn.Module) -> Tensor:
    return nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])


@torch.no_grad()
def _evaluate(model: nn.Module, tensors: ImageTensors) -> tuple[float, float]:
    """Loss and accuracy on the test images in evaluation mode."""
    model.eval()
    loss = torch.zeros(())
    num_right = torch.zeros((), dtype=torch.int64)
    chunks = zip(tensors.test_images.split(500), tensors.test_labels.split(500), strict=True)
    for images, labels in chunks:
        logits = model(images)
        loss += functional.cross_entropy(logits, labels, reduction="sum")
        num_right += (logits.argmax(dim=1) == labels).sum()
    model.train()
    count = len(tensors.test_labels)
    return float(loss) / count, float(num_right) / count
