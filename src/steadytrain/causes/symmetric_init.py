"""Units begin identical and so stay identical.

## What it is
Units of a layer begin with the same weights, get the same gradient and so stay one unit for ever.

## How it shows
The loss falls a little and stops, as if each layer had a single unit; rows of the weights are
equal.

## What proves it
Training comes back with one of these alone, and not with another seed: units that are equal
initialised apart.

## What refutes it
If random weights change nothing, the units were different already. Against it speaks a run that
comes back with: learning rate x 10; every layer initialised as PyTorch does.

## The fix
Draw the weights of the place that was found at random: never nn.init.zeros_ or constant_ for a
matrix between other layers. Biases may begin at zero.

## Source
Goodfellow et al. 2016, Deep Learning, section 8.4.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "symmetric-units": 1.0,
        "vanishing-gradient": 0.25,
        "loss-plateau": 0.3,
        "update-ratio-too-small": 0.15,
        "untrained-parameter": 0.15,
        "equal-units": 1.0,
        "constant-init": 0.9,
    },
    proofs=("initialise-apart",),
    refutations=("lr-times-ten", "initialise-as-torch"),
    fix=(
        "Draw the weights of {site} at random: never nn.init.zeros_ or constant_ for a matrix "
        "between other layers. Biases may begin at zero."
    ),
)
