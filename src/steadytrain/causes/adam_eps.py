"""Epsilon is too small against tiny gradients, or so large that it stops the steps.

## What it is
Epsilon is so large against the gradients that it sets the step, or so small that tiny gradients
become full steps.

## How it shows
Adam learns as slowly as plain descent at Adam's rate; updates shrink with the loss's scale.

## What proves it
Training comes back with one of these alone, and not with another seed: eps of 1e-8; eps of 1e-16.

## What refutes it
If an epsilon of 1e-8 or far below changes nothing, the second moment sets the step. Against it
speaks a run that comes back with: learning rate x 100.

## The fix
Set eps to 1e-8, or well below the root mean square of the gradients where those are tiny: better,
bring the loss to unit scale.

## Source
Kingma and Ba 2015, algorithm 1; Wortsman et al. 2023, section 3.4 on eps and small gradients.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "epsilon-against-gradient": 1.0,
        "update-ratio-too-small": 0.5,
        "loss-plateau": 0.15,
        "epsilon-too-large": 0.9,
        "half-precision-weights": 0.2,
    },
    proofs=("adam-eps-small", "adam-eps-tiny"),
    refutations=("lr-times-hundred",),
    fix=(
        "Set eps to 1e-8, or well below the root mean square of the gradients where those are "
        "tiny: better, bring the loss to unit scale."
    ),
)
