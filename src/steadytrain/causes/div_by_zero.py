"""A norm, deviation or count that reaches zero is divided by.

## What it is
A norm, deviation or count that reaches zero is divided by.

## How it shows
NaN or infinity at one step: an empty mask, a constant feature, a norm of zero.

## What proves it
Training comes back with one of these alone, and not with another seed: divisors at least 1e-8
from zero.

## What refutes it
If a floor under the divisor changes nothing, the NaN is made elsewhere. Against it speaks a run
that comes back with: logarithms of at least 1e-8; roots and norms with a slope at zero.

## The fix
At the place that was found, put a floor under the divisor: count.clamp(min=1), std + 1e-5,
norm.clamp_min(1e-8).

## Source
Ba et al. 2016 and Ioffe and Szegedy 2015, the epsilon in the denominator.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "nonfinite-loss": 0.4,
        "nonfinite-activation": 0.4,
        "nonfinite-gradient": 0.25,
        "division-without-eps": 1.0,
    },
    proofs=("safe-div",),
    refutations=("safe-log", "safe-sqrt"),
    fix=(
        "At {site}, put a floor under the divisor: count.clamp(min=1), std + 1e-5, "
        "norm.clamp_min(1e-8)."
    ),
)
