"""Replicas drift apart: something that must be the same on every rank is not.

## What it is
Replicas drift apart: a parameter, buffer or gradient that must be the same on every rank is not.

## How it shows
The ranks' losses and weights differ; averages of them are worse than each.

## What proves it
Training comes back with one of these alone, and not with another seed: replicas synchronised
before each step.

## What refutes it
If replicas that begin every step alike change nothing, they did not drift. Against it speaks a
run that comes back with: learning rate x 1/10.

## The fix
Seed every rank alike before the model is built or broadcast rank 0's state; use
DistributedDataParallel, SyncBatchNorm, and reduce gradients before every step.

## Source
Li et al. 2020, PyTorch Distributed, section 3.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={},
    proofs=("sync-replicas",),
    refutations=("lr-tenth",),
    fix=(
        "Seed every rank alike before the model is built or broadcast rank 0's state; use "
        "DistributedDataParallel, SyncBatchNorm, and reduce gradients before every step."
    ),
)
