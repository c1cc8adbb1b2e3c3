"""A class is so rare that never predicting it costs nothing.

## What it is
A class is so rare that never predicting it costs next to nothing.

## How it shows
A low loss and a high accuracy that are those of predicting the frequent classes; recall of the
rare one is zero.

## What proves it
Training comes back with one of these alone, and not with another seed: every class equally often.

## What refutes it
If even classes change nothing for the rare one, its inputs do not tell it apart. Against it
speaks a run that comes back with: learning rate x 10.

## The fix
Draw classes evenly (WeightedRandomSampler with 1 / count) or weight the loss (cross_entropy(...,
weight=1 / count)), and judge by the recall of each class.

## Source
He and Garcia 2009, Learning from Imbalanced Data, section 3.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"loss-plateau": 0.1, "class-balance": 1.0},
    proofs=("balance-classes",),
    refutations=("lr-times-ten",),
    fix=(
        "Draw classes evenly (WeightedRandomSampler with 1 / count) or weight the loss "
        "(cross_entropy(..., weight=1 / count)), and judge by the recall of each class."
    ),
)
