"""The clipping threshold, not the gradient, sets the length of the step.

## What it is
The clipping threshold, not the gradient, sets the length of every step.

## How it shows
The clip acts in nearly every step by a factor of ten or more, and the loss creeps.

## What proves it
Training comes back with one of these alone, and not with another seed: clip the gradient norm at
1 and nothing else; no clipping.

## What refutes it
If a looser clip changes nothing, it was not what held the steps. Against it speaks a run that
comes back with: the mean instead of the sum; gradients unscaled before anything else is done to
them; learning rate x 100.

## The fix
Raise the threshold to the usual gradient norm (see grad_norm in the report), 1.0 as a start; clip
the norm and not single values; unscale before.

## Source
Pascanu et al. 2013, section 3.2: half to ten times the average norm.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "clip-always-active": 0.9,
        "clip-far-below-gradient": 1.0,
        "update-ratio-too-small": 0.5,
        "gradients-of-one-size": 0.9,
        "clip-threshold": 0.9,
    },
    proofs=("clip-loosened", "no-clip"),
    refutations=("mean-loss", "unscale-first", "lr-times-hundred"),
    fix=(
        "Raise the threshold to the usual gradient norm (see grad_norm in the report), 1.0 as a"
        " start; clip the norm and not single values; unscale before."
    ),
)
