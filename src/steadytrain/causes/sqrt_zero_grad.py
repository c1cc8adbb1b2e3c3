"""The derivative of a root or norm is infinite where its argument is zero.

## What it is
The slope of a root or a norm is infinite where its argument is zero.

## How it shows
The loss is finite and the gradient is NaN; a distance of equal points, a norm of a zero row, a
deviation of a constant.

## What proves it
Training comes back with one of these alone, and not with another seed: roots and norms with a
slope at zero.

## What refutes it
If a small number under the root changes nothing, the NaN is made elsewhere. Against it speaks a
run that comes back with: logarithms of at least 1e-8; divisors at least 1e-8 from zero.

## The fix
At the place that was found, add a small number under the root, (x.square().sum(-1) +
1e-12).sqrt(), or take the norm of what cannot be zero.

## Source
The derivative 1 / (2 sqrt(x)); the notes on gradients of non-differentiable functions in torch's
autograd mechanics.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "nonfinite-gradient": 0.5,
        "nonfinite-parameter": 0.2,
        "loss-scale-collapse": 0.3,
        "root-without-eps": 1.0,
    },
    proofs=("safe-sqrt",),
    refutations=("safe-log", "safe-div"),
    fix=(
        "At {site}, add a small number under the root, (x.square().sum(-1) + 1e-12).sqrt(), or "
        "take the norm of what cannot be zero."
    ),
)
