"""Norms, biases or scales are decayed.

## What it is
Norms, biases, scales or rarely seen embedding rows are decayed, which have nothing to gain from
it.

## How it shows
Gains shrink from one towards zero and the signal with them, rows of rare tokens vanish, while the
matrices are well.

## What proves it
Training comes back with one of these alone, and not with another seed: weight decay on inner
matrices only.

## What refutes it
If nothing changes when only inner matrices decay, the decay was well placed; if it must go
altogether, it was too high. Against it speaks a run that comes back with: learning rate x 10.

## The fix
Use two parameter groups (steadytrain.optim.parameter_groups(model, weight_decay=...)): decay for
matrices inside the network, none for biases, norms, embeddings and the last layer.

## Source
Goyal et al. 2017, section 3; the parameter groups of GPT-2.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"excessive-weight-decay": 0.6, "decay-too-strong": 0.6},
    proofs=("decay-matrices-only",),
    refutations=("lr-times-ten",),
    fix=(
        "Use two parameter groups (steadytrain.optim.parameter_groups(model, "
        "weight_decay=...)): decay for matrices inside the network, none for biases, norms, "
        "embeddings and the last layer."
    ),
)
