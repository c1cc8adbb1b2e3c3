"""Padded positions are learned like real ones.

## What it is
Padded positions are learned like real ones, and most of what is predicted is padding.

## How it shows
The loss is low and falls at once, samples end early or are filler; with longer padding it gets
lower still.

## What proves it
Training comes back with one of these alone, and not with another seed: padding left out of the
loss.

## What refutes it
If the loss over real positions is no better, padding did not hinder. Against it speaks a run that
comes back with: learning rate x 10.

## The fix
Pass ignore_index=pad_id to cross_entropy, or multiply by the mask and divide by its sum.

## Source
torch.nn.CrossEntropyLoss, ignore_index.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={},
    proofs=("ignore-padding",),
    refutations=("lr-times-ten",),
    fix=(
        "Pass ignore_index=pad_id to cross_entropy, or multiply by the mask and divide by its sum."
    ),
)
