"""The model trains in evaluation mode.

## What it is
The model trains in evaluation mode: no dropout, batch norms on their running statistics.

## How it shows
The share of modules in training mode is 0 while backward runs; batch norms drift, dropout is
silent.

## What proves it
Training comes back with one of these alone, and not with another seed: training mode in every
step.

## What refutes it
If training mode changes nothing, no module of the model has one. Against it speaks a run that
comes back with: batch norms reset, with statistics of the batches.

## The fix
Call model.train() before the training loop and again after every evaluation or sampling.

## Source
torch.nn.Module.train; the notes on evaluation mode.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "evaluation-mode": 1.0,
        "eval-never-undone": 1.0,
        "training-in-evaluation-mode": 1.0,
    },
    proofs=("train-mode",),
    refutations=("fresh-batchnorm",),
    fix=(
        "Call model.train() before the training loop and again after every evaluation or sampling."
    ),
)
