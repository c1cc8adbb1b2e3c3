"""The model memorises its training data.

## What it is
The model memorises its training data.

## How it shows
The training loss goes on falling while validation gets worse.

## What proves it
No trial can: more data is what repairs it, and no change to the program brings any.

## What refutes it
If training itself stalls, nothing is memorised. Against it speaks a run that comes back with:
validation data scaled as the training data; evaluation mode wherever nothing is differentiated.

## The fix
Get more data or augment it, stop at the best validation, add dropout or weight decay, or take a
smaller model.

## Source
Goodfellow et al. 2016, section 5.2.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={},
    proofs=(),
    refutations=("validate-as-trained", "eval-when-validating"),
    fix=(
        "Get more data or augment it, stop at the best validation, add dropout or weight decay,"
        " or take a smaller model."
    ),
    unprovable="more data is what repairs it, and no change to the program brings any",
)
