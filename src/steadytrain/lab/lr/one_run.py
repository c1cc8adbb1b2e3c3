"""One run of one configuration at one peak rate: a plain training loop and its validation loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.lesson.one_run import one_thread
from steadytrain.lab.lr.arms import Arm, find_arm
from steadytrain.lab.lr.char_gpt import Size
from steadytrain.lab.lr.text import load_text
from steadytrain.optim.schedules import Schedule, warmup_cosine

BATCH_SIZE: Final = 16
WARMUP_SHARE: Final = 0.05
"""Of the steps, as in Wortsman et al. 2023."""
EVALUATED: Final = 256
"""Sequences of the validation text that the loss is taken over; the same for every run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """What one run is: plain data, so that it can be sent to another process."""

    arm: str
    rate: float
    """The peak learning rate."""
    seed: int
    """Of the initialisation and of the batches: every configuration sees the same ones."""
    num_steps: int
    data: Path | None = None
    size: Size = field(default_factory=Size)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What one run measured."""

    job: RunJob
    first_loss: float
    """Validation loss at initialisation."""
    last_loss: float
    """Validation loss of the final weights; NaN where training became non-finite."""

    @property
    def has_diverged(self) -> bool:
        """Whether the run ended no better than it began, or not at all."""
        return not self.last_loss < self.first_loss

    @property
    def loss(self) -> float:
        """The final loss; the loss at initialisation where the run diverged."""
        return self.first_loss if self.has_diverged else self.last_loss


def run_job(job: RunJob) -> RunRecord:
    """The run that `job` describes, on the CPU with one thread; the same job, the same bits.

    Torch's global generator and number of threads are as before afterwards.

    Raises:
        UnknownNameError: there is no such configuration here.
        UsageError: the text cannot be read.
    """
    arm = find_arm(job.arm)
    train, validation, vocabulary = _prepared(job.data)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        model = arm.build(vocabulary, job.size)
        first = _evaluate(model, validation, job.size)
        is_finite = _train(model, arm, job, train)
        last = _evaluate(model, validation, job.size) if is_finite else math.nan
    return RunRecord(job=job, first_loss=first, last_loss=last)


@lru_cache(maxsize=1)
def _prepared(folder: Path | None) -> tuple[Tensor, Tensor, int]:
    """Training and validation text as tensors, kept for the next run of this process."""
    text = load_text(folder)
    return torch.from_numpy(text.train), torch.from_numpy(text.validation), len(text.vocabulary)


def _train(model: nn.Module, arm: Arm, job: RunJob, text: Tensor) -> bool:
    """The model is trained; returns whether every loss was finite."""
    optimizer = arm.optimizer(model, job.rate)
    schedule = _schedule(job.num_steps)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    parameters, clip = list(model.parameters()), arm.clip()
    is_finite = torch.ones((), dtype=torch.bool)
    for inputs, targets in _batches(text, job):
        loss = arm.loss(model, inputs, targets)
        is_finite &= loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        clip(parameters)
        optimizer.step()
        scheduler.step()
    return bool(is_finite)


def _schedule(num_steps: int) -> Schedule:
    warmup = min(max(1, round(WARMUP_SHARE * num_steps)), num_steps - 1)
    return warmup_cosine(warmup_steps=warmup, total_steps=num_steps)


def _batches(text: Tensor, job: RunJob) -> Iterator[tuple[Tensor, Tensor]]:
    """Random windows of the text, in an order that depends on the seed alone."""
    entropy = np.random.SeedSequence((job.seed, job.num_steps)).generate_state(1)
    generator = torch.Generator().manual_seed(int(entropy[0]))
    offsets = torch.arange(job.size.context + 1)
    for _ in range(job.num_steps):
        starts = torch.randint(len(text) - len(offsets) + 1, (BATCH_SIZE,), generator=generator)
        windows = text[starts.unsqueeze(1) + offsets]
        yield windows[:, :-1], windows[:, 1:]


@torch.no_grad()
def _evaluate(model: nn.Module, text: Tensor, size: Size) -> float:
    """Mean loss over the first sequences of the validation text, in evaluation mode."""
    count = min(EVALUATED, (len(text) - 1) // size.context)
    inputs = text[: count * size.context].view(count, size.context)
    targets = text[1 : count * size.context + 1].view(count, size.context)
    model.eval()
    total = torch.zeros(())
    for part, wanted in zip(inputs.split(64), targets.split(64), strict=True):
        logits = model(part)
        total += functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum")
    model.train()
    return float(total) / targets.numel()
