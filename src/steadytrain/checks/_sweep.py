"""Forward passes over many batches: what breaks later than on the first one."""

from __future__ import annotations

import time
from typing import Any, Final

import torch

from steadytrain.checks._batches import cloned
from steadytrain.checks._scene import Scene
from steadytrain.checks._several import several
from steadytrain.checks._trial import Trial
from steadytrain.checks._watched import Sweep, Watching, all_finite
from steadytrain.core.check import Unseen
from steadytrain.optim.precision import autocast
from steadytrain.training.stepping import scalar

SECONDS: Final = 3.0
"""Time after which no further batch is begun."""

QUICK_SECONDS: Final = 0.7
"""The same for a quick look."""


def sweep_of(scene: Scene) -> Sweep:
    """Forward passes of a copy over the first batches, without gradients.

    Raises:
        Unseen: the program has no `loss_fn`, or it raised on the first batch.
    """
    sweep = Sweep()
    with scene.trial() as trial:
        if trial.program.loss_fn is None:
            raise Unseen("the program has its own step_fn and no loss_fn")
        begin, seconds = time.perf_counter(), QUICK_SECONDS if scene.quick else SECONDS
        with Watching(trial.model, sweep) as watching:
            for place, batch in enumerate(scene.once(several)):
                if place and time.perf_counter() - begin > seconds:
                    break
                watching.begin(place)
                try:
                    sweep.losses.append(_value(trial, cloned(batch)))
                except Exception as error:  # the user's loss may raise anything
                    if not place:
                        msg = f"the loss raised {type(error).__name__}: {error}"
                        raise Unseen(msg) from error
                    break
                sweep.num_batches = place + 1
    return sweep


def batches_are_finite(batches: list[Any]) -> bool:
    """Whether every floating point tensor of every batch is finite."""
    return all(all_finite(batch) for batch in batches)


def _value(trial: Trial, batch: Any) -> float:
    program = trial.program
    assert program.loss_fn is not None
    device = next(iter(program.model.parameters())).device
    with torch.no_grad(), autocast(program.precision, device):
        return float(scalar(program.loss_fn(program.model, batch)))
