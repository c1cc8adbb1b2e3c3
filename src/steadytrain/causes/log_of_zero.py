"""A logarithm is taken of a value that reaches zero.

## What it is
A logarithm is taken of a value that reaches zero.

## How it shows
The loss is infinite or NaN at one step, although inputs and weights are finite; 0 * log(0) in an
entropy.

## What proves it
Training comes back with one of these alone, and not with another seed: logarithms of at least
1e-8.

## What refutes it
If a floor under the logarithm changes nothing, the NaN is made elsewhere. Against it speaks a run
that comes back with: divisors at least 1e-8 from zero; exponents within the range of the format;
learning rate x 1/10.

## The fix
At the place that was found, use log_softmax or logsigmoid of the scores, log1p for counts,
torch.special.xlogy for p log p, or clamp the argument from below (x.clamp_min(1e-8)).

## Source
Goodfellow et al. 2016, section 4.1, underflow.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"nonfinite-loss": 0.5, "nonfinite-gradient": 0.3, "log-of-activation": 0.9},
    proofs=("safe-log",),
    refutations=("safe-div", "safe-exp", "lr-tenth"),
    fix=(
        "At {site}, use log_softmax or logsigmoid of the scores, log1p for counts, "
        "torch.special.xlogy for p log p, or clamp the argument from below (x.clamp_min(1e-8))."
    ),
)
