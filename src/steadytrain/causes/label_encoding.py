"""Labels have the wrong form: off by one, out of range, wrong type, one-hot where an index is meant.

## What it is
Labels have another form than the loss reads: off by one, out of range, one-hot where indices are
meant, a used class as ignore_index.

## How it shows
An index error, or silence: a class that is never predicted, and a loss that has a floor.

## What proves it
Training comes back with one of these alone, and not with another seed: labels counted from 0; no
class ignored by the loss.

## What refutes it
If counting from zero changes nothing and every class occurs in range, the labels are read
rightly. Against it speaks a run that comes back with: labels shifted back by one place.

## The fix
Give cross_entropy whole numbers from 0 to classes - 1 of dtype int64: subtract the smallest
label, argmax what is one-hot, and let ignore_index be a number that is no class.

## Source
torch.nn.CrossEntropyLoss, its description of the target.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"label-encoding": 1.0, "class-zero-unlearned": 1.0},
    proofs=("labels-from-zero", "count-every-class"),
    refutations=("shift-labels-back",),
    fix=(
        "Give cross_entropy whole numbers from 0 to classes - 1 of dtype int64: subtract the "
        "smallest label, argmax what is one-hot, and let ignore_index be a number that is no "
        "class."
    ),
)
