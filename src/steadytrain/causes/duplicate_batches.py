"""The same batch comes again and again.

## What it is
The same batch comes again and again: an iterator built anew in every step, a sampler with a fixed
seed.

## How it shows
The training loss falls to zero as if a handful of samples were learned by heart, and validation
does not follow.

## What proves it
Training comes back with one of these alone, and not with another seed: repeated batches left out.

## What refutes it
If nothing repeats within a pass over the data, each sample is simply seen often. Against it
speaks a run that comes back with: dropout of a tenth at the most.

## The fix
Build the iterator once outside the loop (for batch in loader:), not next(iter(loader)) in every
step; call sampler.set_epoch(epoch) where there is one.

## Source
A standing mistake of hand-written loops; torch.utils.data, Dataset types.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "duplicate-batches": 0.95,
        "sampler-without-set-epoch": 0.5,
        "seed-in-loop": 0.5,
        "repeated-batch": 1.0,
    },
    proofs=("deduplicate",),
    refutations=("less-dropout",),
    fix=(
        "Build the iterator once outside the loop (for batch in loader:), not "
        "next(iter(loader)) in every step; call sampler.set_epoch(epoch) where there is one."
    ),
)
