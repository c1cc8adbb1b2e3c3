"""A plain stack is too deep to train without shortcuts.

## What it is
A plain stack is too deep to train without shortcuts, whatever its norms do.

## How it shows
A deeper network trains worse than a shallow one, on the training data; gradients of the early
layers are noise.

## What proves it
Training comes back with one of these alone, and not with another seed: a shortcut around every
block.

## What refutes it
If new weights or norms alone bring it back, the stack was not too deep. Against it speaks a run
that comes back with: initialised for the architecture; a norm behind every hidden layer.

## The fix
Add the input of each block to its output, x = x + block(x), with a norm inside the branch;
project where the shapes differ.

## Source
He et al. 2016, Deep Residual Learning, section 4.1: plain 20 against plain 56 layers.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"vanishing-gradient": 0.5, "loss-plateau": 0.25},
    proofs=("insert-shortcuts",),
    refutations=("initialise", "insert-norms"),
    fix=(
        "Add the input of each block to its output, x = x + block(x), with a norm inside the "
        "branch; project where the shapes differ."
    ),
)
