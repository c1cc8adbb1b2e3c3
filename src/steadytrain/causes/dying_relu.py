"""Units are zero on every input and have no gradient that could bring them back.

## What it is
Units are zero on every input, so no gradient can bring them back: a large step or a negative bias
pushed them there.

## How it shows
A share of the units of the layer is zero on whole batches and stays so; the layers behind them
see less and less.

## What proves it
Training comes back with one of these alone, and not with another seed: leaky ReLU instead of
ReLU; learning rate x 1/100; constant learning rate instead of the schedule.

## What refutes it
If fresh weights or a lower rate revive nothing, the units are silent for want of input. Against
it speaks a run that comes back with: inputs at mean 0 and deviation 1.

## The fix
Lower the learning rate or warm it up, begin biases at zero (nn.init.zeros_), and put
nn.LeakyReLU(0.1) or nn.GELU() in place of the ReLU in the place that was found.

## Source
Maas et al. 2013; Lu et al. 2019, Dying ReLU and Initialization.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"dead-units": 0.8, "silent-units": 0.9},
    proofs=("leaky-relu", "lr-hundredth", "constant-schedule"),
    refutations=("normalise-inputs",),
    fix=(
        "Lower the learning rate or warm it up, begin biases at zero (nn.init.zeros_), and put "
        "nn.LeakyReLU(0.1) or nn.GELU() in place of the ReLU in {site}."
    ),
)
