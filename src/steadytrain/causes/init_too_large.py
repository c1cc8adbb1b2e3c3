"""Weights begin so large that signals or gradients grow with every layer.

## What it is
Weights begin so large that signals grow with every layer, or the first outputs are far outside
the targets.

## How it shows
The first loss is many times that of guessing, activations grow with depth, bounded units saturate
and others die within steps.

## What proves it
Training comes back with one of these alone, and not with another seed: only the last layer
initialised; weights that are too large initialised anew.

## What refutes it
If new weights change nothing while a lower rate does, the steps are too long and not the weights
too large. Against it speaks a run that comes back with: learning rate x 1/10; inputs at mean 0
and deviation 1.

## The fix
Initialise the place that was found for its fan-in and activation:
steadytrain.blocks.initialize(model), or nn.init.kaiming_normal_ for ReLU, xavier for tanh, N(0,
0.02) in a transformer; a small last layer.

## Source
Glorot and Bengio 2010; He et al. 2015; Radford et al. 2019 for N(0, 0.02).
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "exploding-gradient": 0.4,
        "dead-units": 0.4,
        "residual-growth": 0.4,
        "initial-loss": 0.7,
        "signal-flow": 0.6,
        "divergence": 0.15,
        "first-loss-out-of-scale": 0.8,
        "overwritten-init": 0.5,
    },
    proofs=("initialise-head", "initialise-smaller"),
    refutations=("lr-tenth", "normalise-inputs"),
    fix=(
        "Initialise {site} for its fan-in and activation: steadytrain.blocks.initialize(model),"
        " or nn.init.kaiming_normal_ for ReLU, xavier for tanh, N(0, 0.02) in a transformer; a "
        "small last layer."
    ),
)
