"""Labels belong to other inputs than they stand beside: shifted or shuffled apart.

## What it is
Labels stand beside other inputs than they belong to: shifted by a place, or shuffled apart.

## How it shows
The loss falls to that of guessing by frequency and stays; training data can be memorised and
validation is at chance.

## What proves it
Training comes back with one of these alone, and not with another seed: labels moved to the inputs
that predict them; labels shifted back by one place; labels shifted forward by one place.

## What refutes it
If the labels moved by a place change nothing, they are not shifted; they may still be shuffled
apart, which only a look at the pairs shows. Against it speaks a run that comes back with:
learning rate x 10.

## The fix
Shuffle inputs and labels with one permutation, read both in one loop, and print ten pairs as the
model gets them; for next-token targets use tokens[:, :-1] and tokens[:, 1:].

## Source
Karpathy 2019: visualise what goes into the network just before it goes in.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"loss-plateau": 0.5},
    proofs=("realign-labels", "shift-labels-back", "shift-labels-forward"),
    refutations=("lr-times-ten",),
    fix=(
        "Shuffle inputs and labels with one permutation, read both in one loop, and print ten "
        "pairs as the model gets them; for next-token targets use tokens[:, :-1] and tokens[:, "
        "1:]."
    ),
)
