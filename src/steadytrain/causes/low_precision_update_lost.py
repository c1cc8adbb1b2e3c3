"""Updates below half a unit in the last place are rounded away.

## What it is
Updates below half a unit in the last place are rounded away: bfloat16 keeps eight bits of a
weight.

## How it shows
A large share of the weights does not change in a step although its gradient is not zero; the loss
stalls as the rate falls.

## What proves it
Training comes back with one of these alone, and not with another seed: everything in float32.

## What refutes it
If float32 weights stall alike, nothing was rounded away. Against it speaks a run that comes back
with: learning rate x 10.

## The fix
Keep float32 weights and use autocast for the arithmetic; or add the update with Kahan summation
or stochastic rounding (steadytrain.optim).

## Source
Gupta et al. 2015; Zamirai et al. 2020, Revisiting BFloat16 Training.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "untrained-parameter": 0.4,
        "update-ratio-too-small": 0.3,
        "lost-updates": 0.95,
        "updates-lost": 0.95,
        "half-precision-weights": 0.9,
    },
    proofs=("float32",),
    refutations=("lr-times-ten",),
    fix=(
        "Keep float32 weights and use autocast for the arithmetic; or add the update with Kahan"
        " summation or stochastic rounding (steadytrain.optim)."
    ),
)
