"""The optimizer's step is never taken, or far too rarely.

## What it is
The optimizer's step is never taken, or far too rarely.

## How it shows
Gradients are there and no weight moves.

## What proves it
Training comes back with one of these alone, and not with another seed: every optimizer steps once
per step.

## What refutes it
If a step in every iteration changes nothing, steps were taken. Against it speaks a run that comes
back with: gradients cleared before each step; learning rate x 100.

## The fix
Call optimizer.step() after backward, of every optimizer; check the condition around it
(accumulation windows longer than an epoch never end).

## Source
torch.optim, Taking an optimization step.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "optimizer-never-steps": 1.0,
        "missing-optimizer-step": 1.0,
        "untrained-parameter": 0.6,
        "loss-plateau": 0.2,
        "no-optimizer-step": 1.0,
        "missing-backward": 0.6,
        "idle-optimizer": 1.0,
    },
    proofs=("missing-step",),
    refutations=("clear-gradients", "lr-times-hundred"),
    fix=(
        "Call optimizer.step() after backward, of every optimizer; check the condition around "
        "it (accumulation windows longer than an epoch never end)."
    ),
)
