"""Weights begin so small that signals or gradients shrink with every layer.

## What it is
Weights begin so small that the signal shrinks with every layer: the output does not depend on the
input.

## How it shows
Activations fall by orders of magnitude with depth, gradients too, and the loss stands at that of
guessing.

## What proves it
Training comes back with one of these alone, and not with another seed: weights that are too small
initialised anew.

## What refutes it
If norms or shortcuts help and new weights do not, the depth is the matter. Against it speaks a
run that comes back with: learning rate x 3; learning rate x 100.

## The fix
Initialise the place that was found for its fan-in and activation:
steadytrain.blocks.initialize(model), or nn.init.kaiming_normal_(layer.weight,
nonlinearity='relu').

## Source
He et al. 2015, section 2.2; Mishkin and Matas 2016 (LSUV).
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "vanishing-gradient": 0.75,
        "update-ratio-too-large": 0.2,
        "signal-flow": 0.7,
        "loss-plateau": 0.2,
    },
    proofs=("initialise-larger",),
    refutations=("lr-times-three", "lr-times-hundred"),
    fix=(
        "Initialise {site} for its fan-in and activation: steadytrain.blocks.initialize(model),"
        " or nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')."
    ),
)
