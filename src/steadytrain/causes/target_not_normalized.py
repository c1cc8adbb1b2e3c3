"""Regression targets are so large or small that the loss has an extreme scale.

## What it is
Regression targets are so large or so small that the squared error, and with it every gradient,
has an extreme scale.

## How it shows
A loss of many thousands or of millionths, every step clipped, predictions that stay far from the
targets' mean; with several targets, only the largest is learned.

## What proves it
Training comes back with one of these alone, and not with another seed: targets at mean 0 and
deviation 1.

## What refutes it
If standardised targets change nothing, the loss was of a scale the optimizer could use. Against
it speaks a run that comes back with: learning rate x 1/10.

## The fix
Train on (target - mean) / std with target.mean(0) and target.std(0) of the training data, and
undo it where predictions are used: prediction * std + mean.

## Source
Bishop 1995, Neural Networks for Pattern Recognition, section 8.2.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"clip-always-active": 0.4, "target-scale": 0.95, "initial-loss": 0.4},
    proofs=("normalise-targets",),
    refutations=("lr-tenth",),
    fix=(
        "Train on (target - mean) / std with target.mean(0) and target.std(0) of the training "
        "data, and undo it where predictions are used: prediction * std + mean."
    ),
)
