"""Runs of the lesson's network that are broken on purpose, for the rules to speak about."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

import steadytrain
from steadytrain.core.finding import Finding
from steadytrain.core.program import Program
from steadytrain.lab.datasets import digits
from steadytrain.lab.lesson.batches import ImageTensors, ShuffledBatches
from steadytrain.lab.lesson.one_run import one_thread
from steadytrain.lab.lesson.recipes import PEAK_RATE, find_recipe

SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """What is done to a run."""

    name: str
    """The folder's name too."""
    done_to_it: str
    recipe: str
    num_steps: int
    rate_factor: float = 1.0
    poisoned_step: int | None = None
    """The step whose batch has one image of NaN."""


BREAKAGES: Final = (
    Breakage(
        name="learning-rate-x100",
        done_to_it="The network without tricks is trained at 100 times its learning rate, 0.1.",
        recipe="no tricks",
        num_steps=270,
        rate_factor=100.0,
    ),
    Breakage(
        name="nan-batch",
        done_to_it="One image of the batch at step 120 is NaN; all tricks are on.",
        recipe="all tricks",
        num_steps=150,
        poisoned_step=120,
    ),
)


def break_run(breakage: Breakage, run_dir: Path) -> tuple[Path, list[Finding]]:
    """The run is broken and watched; returns where it was written and what the rules say.

    Torch's global generator and number of threads are as before afterwards.
    """
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return _train(breakage, run_dir)


def _train(breakage: Breakage, run_dir: Path) -> tuple[Path, list[Finding]]:
    data = digits()
    tensors = ImageTensors.of(data)
    batches = ShuffledBatches(tensors.train_images, tensors.train_labels, 32, SEED)
    recipe = find_recipe(breakage.recipe)
    model = recipe.build(data.num_classes)
    rates = recipe.rates(breakage.num_steps, PEAK_RATE * breakage.rate_factor)
    optimizer = recipe.optimizer(model, rates[0])
    with steadytrain.watch(model, optimizer, run_dir=run_dir, name=breakage.name) as watch:
        for step, (images, labels) in enumerate(batches.take(breakage.num_steps)):
            for group in optimizer.param_groups:
                group["lr"] = rates[step]
            if step == breakage.poisoned_step:
                images = _poisoned(images)
            loss = functional.cross_entropy(model(images), labels)
            loss.backward()
            if recipe.clip is not None:
                watch.clip_grad_norm_(recipe.clip)
            optimizer.step()
            optimizer.zero_grad()
            watch.log(loss=loss)
    return Path(watch.run_dir), watch.findings()


def broken_program(breakage: Breakage) -> Program:
    """The same broken run as a program, so that the doctor can run it again.

    Of a breakage without a poisoned step: that one is in the data, not in the program.
    """
    data = digits()
    tensors = ImageTensors.of(data)
    recipe = find_recipe(breakage.recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = recipe.build(data.num_classes)
    rate = recipe.rates(breakage.num_steps, PEAK_RATE * breakage.rate_factor)[0]
    return Program(
        model=model,
        optimizer=recipe.optimizer(model, rate),
        batches=ShuffledBatches(tensors.train_images, tensors.train_labels, 32, SEED),
        loss_fn=_loss,
        clip=recipe.clip,
    )


def _loss(model: Any, batch: Any) -> Tensor:
    images, labels = batch
    return functional.cross_entropy(model(images), labels)


def _poisoned(images: Tensor) -> Tensor:
    """A copy of `images` whose first one is NaN."""
    images = images.clone()
    images[0] = math.nan
    return images
