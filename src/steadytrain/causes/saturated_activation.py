"""Sigmoid, tanh or softmax units sit at the flat ends of their range.

## What it is
Sigmoid, tanh or softmax units, or the gates of a recurrent cell, sit at the flat ends of their
range and pass no gradient.

## How it shows
Most outputs of the layer are within a hundredth of their limits, and its gradient is near zero
while later layers have one.

## What proves it
Training comes back with one of these alone, and not with another seed: saturated units
initialised anew.

## What refutes it
If the units leave their ends with scaled inputs and the old weights, the data was at fault.
Against it speaks a run that comes back with: learning rate x 10.

## The fix
Initialise the place that was found smaller (Xavier for sigmoid and tanh; gate biases at 0, the
forget gate's at 1), put a norm before it, or use GELU in hidden layers.

## Source
Glorot and Bengio 2010, section 3; Jozefowicz et al. 2015 for the gates.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "vanishing-gradient": 0.4,
        "saturated-units": 0.9,
        "silent-units": 0.6,
        "shut-gates": 1.0,
    },
    proofs=("initialise-unsaturated",),
    refutations=("lr-times-ten",),
    fix=(
        "Initialise {site} smaller (Xavier for sigmoid and tanh; gate biases at 0, the forget "
        "gate's at 1), put a norm before it, or use GELU in hidden layers."
    ),
)
