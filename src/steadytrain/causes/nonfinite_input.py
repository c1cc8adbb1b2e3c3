"""A batch holds NaN or infinite values before the model sees it.

## What it is
A batch holds NaN or infinity before the model sees it: a failed logarithm, a missing value that
was read as NaN, a division by an empty count.

## How it shows
The first non-finite number of the run is in the data; the loss and every weight follow in the
same step.

## What proves it
Training comes back with one of these alone, and not with another seed: batches with non-finite
numbers left out; non-finite numbers replaced by their column's mean.

## What refutes it
If the run stays broken without those batches, the number is born in the model or in the loss.
Against it speaks a run that comes back with: logarithms of at least 1e-8; divisors at least 1e-8
from zero.

## The fix
Find the rows with torch.isfinite(batch).all() where the data is read and repair what made them:
log1p instead of log, a value for what is missing, a count of at least 1. Leave out what cannot be
repaired.

## Source
Karpathy 2019, A Recipe for Training Neural Networks: look at the data first.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"nonfinite-activation": 0.5, "nonfinite-batches": 1.0},
    proofs=("drop-nonfinite", "fill-nonfinite"),
    refutations=("safe-log", "safe-div"),
    fix=(
        "Find the rows with torch.isfinite(batch).all() where the data is read and repair what "
        "made them: log1p instead of log, a value for what is missing, a count of at least 1. "
        "Leave out what cannot be repaired."
    ),
)
