"""Normalisation uses statistics of the validation data, or differs between the splits.

## What it is
Training and validation data are normalised by different numbers, or by numbers fitted on both.

## How it shows
Validation is far worse than training from the first step on, or better than it can be on new
data.

## What proves it
Training comes back with one of these alone, and not with another seed: validation data scaled as
the training data.

## What refutes it
If validation is as bad with the training data's mean and deviation, the difference is in the data
itself. Against it speaks a run that comes back with: evaluation mode wherever nothing is
differentiated.

## The fix
Compute train.mean(0) and train.std(0) on the training data only, keep them as buffers of the
model, and apply the same two numbers to validation and to everything later.

## Source
Hastie et al. 2009, The Elements of Statistical Learning, section 7.10.2.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"validation-statistics": 1.0},
    proofs=("validate-as-trained",),
    refutations=("eval-when-validating",),
    fix=(
        "Compute train.mean(0) and train.std(0) on the training data only, keep them as buffers"
        " of the model, and apply the same two numbers to validation and to everything later."
    ),
)
