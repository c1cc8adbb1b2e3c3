"""Running statistics are stale, frozen, non-finite or those of other data.

## What it is
Running statistics are stale, frozen, non-finite or those of other data, and stand for the
batches' own.

## How it shows
Training is fine and evaluation is at chance, or a network with fixed norms starts with
activations of another scale.

## What proves it
Training comes back with one of these alone, and not with another seed: batch norms reset, with
statistics of the batches.

## What refutes it
If reset statistics change nothing, evaluation fails for another reason: the mode, the data.
Against it speaks a run that comes back with: training mode in every step.

## The fix
Reset the place that was found (reset_running_stats()), keep momentum at 0.1, and pass some
hundred training batches through the model in training mode before it is evaluated or frozen.

## Source
Ioffe and Szegedy 2015, section 3.1; Wu and Johnson 2021, Rethinking 'Batch' in BatchNorm.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "evaluation-mode": 0.15,
        "batchnorm-running-statistics": 1.0,
        "running-statistics-apart": 0.9,
        "batchnorm-momentum": 0.8,
        "validation-in-training-mode": 0.4,
    },
    proofs=("fresh-batchnorm",),
    refutations=("train-mode",),
    fix=(
        "Reset {site} (reset_running_stats()), keep momentum at 0.1, and pass some hundred "
        "training batches through the model in training mode before it is evaluated or frozen."
    ),
)
