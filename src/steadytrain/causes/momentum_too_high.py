"""Momentum carries the weights past where the gradient turned.

## What it is
Momentum carries the weights past where the gradient turned.

## How it shows
The loss rings: it falls, rises and falls in waves many steps long, at any usual rate.

## What proves it
Training comes back with one of these alone, and not with another seed: momentum of 0.9.

## What refutes it
If a momentum of 0.9 rings alike, the rate is too high. Against it speaks a run that comes back
with: learning rate x 1/100.

## The fix
Set momentum (or beta1) to 0.9; at 0.99 divide the rate by ten. Adam's betas are (0.9, 0.999) in
this order.

## Source
Sutskever et al. 2013; Goh 2017, Why Momentum Really Works.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "extreme-momentum": 1.0,
        "divergence": 0.4,
        "update-ratio-too-large": 0.25,
        "momentum-near-one": 1.0,
    },
    proofs=("momentum-09",),
    refutations=("lr-hundredth",),
    fix=(
        "Set momentum (or beta1) to 0.9; at 0.99 divide the rate by ten. Adam's betas are (0.9,"
        " 0.999) in this order."
    ),
)
