"""An exponential exceeds the range of the number format.

## What it is
An exponential exceeds the range of the number format: above 88 in float32, above 11 in float16.

## How it shows
Infinity in the forward pass and NaN in its ratio; softmax or the variance of a Gaussian head
written by hand.

## What proves it
Training comes back with one of these alone, and not with another seed: exponents within the range
of the format.

## What refutes it
If bounded exponents change nothing, the NaN is made elsewhere. Against it speaks a run that comes
back with: logarithms of at least 1e-8; clip the gradient norm at 1.

## The fix
At the place that was found, use logsumexp, log_softmax or softplus, subtract the maximum before
exp, and clamp a log-variance to [-10, 10].

## Source
Goodfellow et al. 2016, section 4.1, overflow; the log-sum-exp trick.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"nonfinite-loss": 0.45, "nonfinite-activation": 0.4, "nonfinite-gradient": 0.25},
    proofs=("safe-exp",),
    refutations=("safe-log", "clip-at-one"),
    fix=(
        "At {site}, use logsumexp, log_softmax or softplus, subtract the maximum before exp, "
        "and clamp a log-variance to [-10, 10]."
    ),
)
