"""The input contains the answer, so the loss is too good to be true.

## What it is
The input contains the answer: an unmasked future, a copied column, a feature computed from the
label.

## How it shows
The loss is too good too early, and the model is worthless on data where the answer is not known
yet.

## What proves it
Training comes back with one of these alone, and not with another seed: attention to the past
only; columns that hold the target emptied.

## What refutes it
If the loss stays as good without the column or with attention to the past only, the task is easy.
Against it speaks a run that comes back with: learning rate x 1/10.

## The fix
Remove every feature that is made of the target; in a model that predicts the next token pass
is_causal=True (or an upper-triangular mask) to every attention layer and test that output t does
not change with input t + 1.

## Source
Kaufman et al. 2012, Leakage in Data Mining.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"looks-ahead": 1.0, "target-leak": 1.0},
    proofs=("causal-attention", "without-leaking-columns"),
    refutations=("lr-tenth",),
    fix=(
        "Remove every feature that is made of the target; in a model that predicts the next "
        "token pass is_causal=True (or an upper-triangular mask) to every attention layer and "
        "test that output t does not change with input t + 1."
    ),
)
