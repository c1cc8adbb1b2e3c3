"""The recurrent matrix shrinks or multiplies the state at every time step.

## What it is
The recurrent matrix shrinks or multiplies the state at every time step: its spectral radius is
not near one.

## How it shows
What lies more than a few steps back is not learned, or gradients explode with the length of the
sequence.

## What proves it
Training comes back with one of these alone, and not with another seed: recurrent matrices scaled
to spectral radius 1; recurrent matrices orthogonal.

## What refutes it
If a clip alone suffices, the explosions are rare; if another rate does, the matrix was usable.
Against it speaks a run that comes back with: clip the gradient norm at 1; learning rate x 1/10.

## The fix
Initialise the recurrent weights of the place that was found orthogonal
(nn.init.orthogonal_(cell.weight_hh_l0)), the identity for ReLU, and clip the gradient norm; LSTM
or GRU for long memory.

## Source
Pascanu et al. 2013, section 2.1; Le et al. 2015 (IRNN); Saxe et al. 2014.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "recurrent-radius": 0.95,
        "exploding-gradient": 0.3,
        "vanishing-gradient": 0.3,
        "loss-plateau": 0.15,
    },
    proofs=("spectral-radius-one", "orthogonal-recurrence"),
    refutations=("clip-at-one", "lr-tenth"),
    fix=(
        "Initialise the recurrent weights of {site} orthogonal "
        "(nn.init.orthogonal_(cell.weight_hh_l0)), the identity for ReLU, and clip the gradient"
        " norm; LSTM or GRU for long memory."
    ),
)
