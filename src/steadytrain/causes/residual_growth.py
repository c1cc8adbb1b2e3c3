"""The sum along the shortcuts grows from block to block.

## What it is
Every block adds at its full size, so the sum along the shortcuts grows from block to block.

## How it shows
The size of activations grows with depth by factors; the last blocks' gradients dwarf the first
ones', or the output overflows.

## What proves it
Training comes back with one of these alone, and not with another seed: weights that are too large
initialised anew; a norm behind every hidden layer.

## What refutes it
If a lower rate alone suffices, the steps and not the sum are too large. Against it speaks a run
that comes back with: learning rate x 1/100.

## The fix
Scale the last layer of every branch by 1 / sqrt(2 x number of blocks) at the start (or begin it
at zero), and put a norm behind the last block.

## Source
Radford et al. 2019, section 2.3; Zhang et al. 2019 (Fixup); De and Smith 2020.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"residual-growth": 0.9, "exploding-gradient": 0.3, "signal-flow": 0.6},
    proofs=("initialise-smaller", "insert-norms"),
    refutations=("lr-hundredth",),
    fix=(
        "Scale the last layer of every branch by 1 / sqrt(2 x number of blocks) at the start "
        "(or begin it at zero), and put a norm behind the last block."
    ),
)
