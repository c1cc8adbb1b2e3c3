"""Gradients of earlier steps are never cleared and add up.

## What it is
Gradients of earlier steps are never cleared and add up.

## How it shows
The gradient norm grows step by step, updates keep the direction of the past, the loss diverges or
circles.

## What proves it
Training comes back with one of these alone, and not with another seed: gradients cleared before
each step.

## What refutes it
If clearing changes nothing, no gradient was left over. Against it speaks a run that comes back
with: learning rate x 1/10.

## The fix
Call optimizer.zero_grad() once per step, before backward.

## Source
torch.optim, Taking an optimization step.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"stale-gradients": 0.95, "gradients-not-cleared": 1.0, "missing-zero-grad": 1.0},
    proofs=("clear-gradients",),
    refutations=("lr-tenth",),
    fix="Call optimizer.zero_grad() once per step, before backward.",
)
