"""A sum stands where a mean is meant, or the reverse.

## What it is
A sum stands where a mean is meant, or the reverse, so that the step grows with the batch.

## How it shows
The loss is as many times too large as a batch has samples or tokens; plain gradient descent
diverges, a clip acts in every step.

## What proves it
Training comes back with one of these alone, and not with another seed: the mean instead of the
sum.

## What refutes it
If a lower rate of any size but this factor suffices, the rate is the cause. Against it speaks a
run that comes back with: learning rate x 1/3.

## The fix
Use reduction='mean', or divide the sum by the number of samples or unmasked tokens.

## Source
Goyal et al. 2017, section 5: the normalisation of the loss per worker and per batch.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "clip-always-active": 0.5,
        "initial-loss": 0.3,
        "divergence": 0.3,
        "exploding-gradient": 0.3,
        "update-ratio-too-large": 0.25,
        "nonfinite-loss": 0.25,
        "epsilon-against-gradient": 0.3,
        "first-loss-out-of-scale": 0.4,
        "accumulation-not-divided": 0.2,
        "summed-loss": 1.0,
    },
    proofs=("mean-loss",),
    refutations=("lr-third",),
    fix="Use reduction='mean', or divide the sum by the number of samples or unmasked tokens.",
)
