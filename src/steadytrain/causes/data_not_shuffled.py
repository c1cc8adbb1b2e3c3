"""Batches come ordered by class or by time.

## What it is
Batches come ordered by class or by time: each stretch of them teaches the network to forget the
last one.

## How it shows
The loss falls within a stretch and jumps at its end, with the period of the data; accuracy is
that of the last classes seen.

## What proves it
Training comes back with one of these alone, and not with another seed: samples shuffled over all
batches.

## What refutes it
If mixed batches jump alike, the order is not to blame. Against it speaks a run that comes back
with: learning rate x 1/10; the suspect batches left out.

## The fix
Pass shuffle=True to the training DataLoader, or permute the samples before they are cut into
batches.

## Source
Bengio 2012, Practical Recommendations, section 3.1.2; McCloskey and Cohen 1989 on forgetting.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "divergence": 0.3,
        "loss-spike": 0.25,
        "ordered-labels": 1.0,
        "unshuffled-training-loader": 1.0,
        "sawtooth-loss": 0.8,
    },
    proofs=("shuffle",),
    refutations=("lr-tenth", "drop-suspects"),
    fix=(
        "Pass shuffle=True to the training DataLoader, or permute the samples before they are "
        "cut into batches."
    ),
)
