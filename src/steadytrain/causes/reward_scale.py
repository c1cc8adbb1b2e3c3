"""Rewards or advantages have an extreme scale.

## What it is
Rewards or advantages have an extreme scale and set the length of the step.

## How it shows
Gradients in the hundreds, a policy that is certain after some updates, a critic's error that
dwarfs the policy's term.

## What proves it
Training comes back with one of these alone, and not with another seed: every term of the loss
scaled to a gradient of norm 1.

## What refutes it
If terms of one scale change nothing, the rewards were of a usable scale. Against it speaks a run
that comes back with: learning rate x 1/10.

## The fix
Normalise the advantages of each batch (steadytrain.blocks.normalize_advantages), scale or clip
the rewards, and normalise the critic's targets.

## Source
Henderson et al. 2018, section 5.3; Engstrom et al. 2020.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "clip-always-active": 0.35,
        "exploding-gradient": 0.1,
        "target-scale": 0.5,
        "advantage-with-gradient": 0.4,
    },
    proofs=("limit-terms",),
    refutations=("lr-tenth",),
    fix=(
        "Normalise the advantages of each batch (steadytrain.blocks.normalize_advantages), "
        "scale or clip the rewards, and normalise the critic's targets."
    ),
)
