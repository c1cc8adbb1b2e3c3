"""Decay pulls the weights to zero faster than the gradient builds them.

## What it is
Decay pulls the weights to zero faster than the gradient builds them.

## How it shows
Weight norms shrink steadily, the loss returns to that of guessing although gradients are healthy.

## What proves it
Training comes back with one of these alone, and not with another seed: weight decay that takes at
most 1e-4 per step; no weight decay.

## What refutes it
If the run is no better without decay, the decay did not hinder. Against it speaks a run that
comes back with: learning rate x 10.

## The fix
Take weight_decay from 1e-4 (SGD) or 0.01-0.1 (AdamW at 1e-3): lr x decay is the share lost per
step and should be below 1e-4.

## Source
Loshchilov and Hutter 2019; Zhang et al. 2019, Three Mechanisms of Weight Decay.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "excessive-weight-decay": 1.0,
        "loss-plateau": 0.2,
        "dead-units": 0.1,
        "decay-too-strong": 0.95,
        "drowning-penalty": 0.5,
    },
    proofs=("little-weight-decay", "no-weight-decay"),
    refutations=("lr-times-ten",),
    fix=(
        "Take weight_decay from 1e-4 (SGD) or 0.01-0.1 (AdamW at 1e-3): lr x decay is the share"
        " lost per step and should be below 1e-4."
    ),
)
