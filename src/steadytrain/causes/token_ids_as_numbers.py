"""Indices of a vocabulary are fed as if they were quantities.

## What it is
Indices of a vocabulary are fed as if they were quantities: token 200 counts twice as much as
token 100.

## How it shows
Inputs are whole numbers up to hundreds, the first layer is linear, and the loss stays near that
of guessing.

## What proves it
Training comes back with one of these alone, and not with another seed: indices looked up in a
table.

## What refutes it
If a table of vectors changes nothing, the numbers are quantities. Against it speaks a run that
comes back with: inputs at mean 0 and deviation 1.

## The fix
Put nn.Embedding(num_tokens, width) in front and feed the indices as int64; one_hot for a handful
of categories.

## Source
Bengio et al. 2003, A Neural Probabilistic Language Model.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"token-ids-as-numbers": 0.95, "loss-plateau": 0.15},
    proofs=("embed-tokens",),
    refutations=("normalise-inputs",),
    fix=(
        "Put nn.Embedding(num_tokens, width) in front and feed the indices as int64; one_hot "
        "for a handful of categories."
    ),
)
