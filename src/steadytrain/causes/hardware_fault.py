"""A result does not recur when the same step is run again.

## What it is
A result does not recur when the same step is run again: a bit flipped in memory or on the way.

## How it shows
A sudden NaN or jump that no data, rate or weight explains, on one machine.

## What proves it
Training comes back with one of these alone, and not with another seed: the same steps run again,
nothing changed.

## What refutes it
If the same step gives the same bits again, machine and luck are not the cause. Against it speaks
a run that comes back with: learning rate x 1/10; clip the gradient norm at 1.

## The fix
Go back to the last checkpoint and go on; test the memory of the machine, watch its ECC counters,
and take it out if it happens again.

## Source
Dixit et al. 2021, Silent Data Corruptions at Scale; Llama 3 2024, section 3.3.4.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"loss-spike": 0.1, "nonfinite-parameter": 0.1},
    proofs=("run-again",),
    refutations=("lr-tenth", "clip-at-one"),
    fix=(
        "Go back to the last checkpoint and go on; test the memory of the machine, watch its "
        "ECC counters, and take it out if it happens again."
    ),
)
