"""Features lie far from unit scale, or on very different scales.

## What it is
Features lie far from unit scale, or on scales so different that no learning rate suits all of
them.

## How it shows
The first layer's activations and gradients are many times larger or smaller than the others',
units die at once, and loss falls slowly or not at all.

## What proves it
Training comes back with one of these alone, and not with another seed: inputs at mean 0 and
deviation 1.

## What refutes it
If standardised inputs change nothing, the scale is not what hinders. Against it speaks a run that
comes back with: learning rate x 1/10; initialised for the architecture.

## The fix
Compute mean and std = train.mean(0), train.std(0) once on the training data (pictures by
channel), feed (x - mean) / std, and use the same two numbers for validation.

## Source
LeCun et al. 1998, Efficient BackProp, section 4.3.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "dead-units": 0.5,
        "feature-scale": 1.0,
        "loss-plateau": 0.2,
        "unscaled-input": 0.95,
        "initial-loss": 0.3,
    },
    proofs=("normalise-inputs",),
    refutations=("lr-tenth", "initialise"),
    fix=(
        "Compute mean and std = train.mean(0), train.std(0) once on the training data (pictures"
        " by channel), feed (x - mean) / std, and use the same two numbers for validation."
    ),
)
