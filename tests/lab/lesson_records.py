"""Records of runs that were never run, for the questions that are asked of them."""

import numpy as np

from steadytrain.lab.lesson.one_run import RunJob, RunRecord
from steadytrain.lab.lesson.recipes import RECIPES
from steadytrain.lab.lesson.results import Results

NUM_STEPS = 20


def record(recipe="no tricks", *, seed=0, factor=1.0, losses=None, norms=None, rates=None):
    losses = np.full(NUM_STEPS, 0.1) if losses is None else np.asarray(losses, dtype=float)
    norms = np.full(len(losses), 2.0) if norms is None else np.asarray(norms, dtype=float)
    return RunRecord(
        job=RunJob(recipe=recipe, seed=seed, epochs=2, batch_size=8, rate_factor=factor),
        num_steps=NUM_STEPS,
        steps_per_epoch=NUM_STEPS // 2,
        num_classes=10,
        losses=losses,
        grad_norms=norms,
        grad_norms_clipped=np.minimum(norms, 1.0),
        rates=np.full(len(losses), 1e-3) if rates is None else np.asarray(rates, dtype=float),
        layer_norms={1: {"conv 1": 1.0, "classifier": 2.0}},
        validation_loss=0.2,
        validation_accuracy=0.9,
    )


def results(*, main=None, broken=(), num_seeds=3, factors=(1.0, 100.0)):
    """Every configuration ends at a loss of 0.1, but those in `main`: loss by recipe and seed.

    In the break test those of `broken` stay at the loss of guessing.
    """
    levels = {name: [0.1] * num_seeds for name in RECIPES} | (main or {})
    at_one = [
        record(name, seed=seed, losses=[level] * NUM_STEPS)
        for name, by_seed in levels.items()
        for seed, level in enumerate(by_seed)
    ]
    breaking = [
        record(name, seed=seed, factor=factor, losses=[2.3 if name in broken else 0.1] * NUM_STEPS)
        for factor in factors[1:]
        for name in RECIPES
        for seed in range(num_seeds)
    ]
    return Results.of(at_one, breaking, factors)
