"""Batch normalisation takes its statistics from too few samples.

## What it is
Batch normalisation takes its statistics from so few samples that they are noise.

## How it shows
The training loss is restless, and evaluation mode is far worse than training mode; with one
sample, zeros or an error.

## What proves it
Training comes back with one of these alone, and not with another seed: group norm instead of
batch norm.

## What refutes it
If group norm does no better, the batches were large enough. Against it speaks a run that comes
back with: learning rate x 1/10; batch norms reset, with statistics of the batches.

## The fix
Use GroupNorm or LayerNorm in place of the place that was found, or batches of 16 and more for
each device; pass drop_last=True to the DataLoader.

## Source
Wu and He 2018, Group Normalization, figure 1.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"loss-plateau": 0.1, "batch-norm-of-few": 0.95, "batchnorm-samples": 1.0},
    proofs=("group-norm",),
    refutations=("lr-tenth", "fresh-batchnorm"),
    fix=(
        "Use GroupNorm or LayerNorm in place of {site}, or batches of 16 and more for each "
        "device; pass drop_last=True to the DataLoader."
    ),
)
