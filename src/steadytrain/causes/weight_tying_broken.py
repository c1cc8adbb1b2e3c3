"""Weights that should be one tensor have become two.

## What it is
Weights that should be one tensor have become two: a clone, a loaded state, a converted copy.

## How it shows
The output layer and the embedding begin equal and drift apart, or one of them is never trained.

## What proves it
Training comes back with one of these alone, and not with another seed: output layer tied to the
embedding.

## What refutes it
If tying them again changes nothing, two matrices serve as well as one. Against it speaks a run
that comes back with: learning rate x 10.

## The fix
Assign the tensor, model.head.weight = model.embedding.weight, after every load or conversion of
the place that was found, and build the optimizer afterwards.

## Source
Press and Wolf 2017; Inan et al. 2017.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"broken-weight-tying": 1.0, "untrained-parameter": 0.3},
    proofs=("tie-weights",),
    refutations=("lr-times-ten",),
    fix=(
        "Assign the tensor, model.head.weight = model.embedding.weight, after every load or "
        "conversion of {site}, and build the optimizer afterwards."
    ),
)
