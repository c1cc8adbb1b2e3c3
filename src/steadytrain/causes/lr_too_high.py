"""The learning rate takes steps longer than the loss surface allows.

## What it is
The learning rate takes steps longer than the loss surface allows.

## How it shows
The loss jumps in the first steps, oscillates or grows; updates are more than a hundredth of the
weights; units die.

## What proves it
Training comes back with one of these alone, and not with another seed: learning rate x 1/10;
learning rate x 1/100; every parameter group at the lowest of the learning rates; learning rate x
1/1000; constant learning rate instead of the schedule.

## What refutes it
If a tenth and a hundredth of the rate change nothing, the steps are not what breaks it; if a ramp
alone suffices, only the first steps were too long. Against it speaks a run that comes back with:
gradients cleared before each step; initialised for the architecture; no momentum; the mean
instead of the sum.

## The fix
Divide the learning rate of the place that was found by 10 until the loss falls steadily, then
take half of the highest that does; steadytrain.optim.lr_range_test finds it.

## Source
Bengio 2012, section 3.1.1; Smith 2017; Cohen et al. 2021 on the edge of stability.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "divergence": 0.8,
        "update-ratio-too-large": 0.7,
        "loss-spike": 0.4,
        "nonfinite-loss": 0.35,
        "dead-units": 0.35,
        "rate-far-off": 0.95,
        "uneven-rates": 0.9,
        "first-loss-out-of-scale": 0.1,
        "adam-learning-rate": 0.9,
        "layers-at-odds": 0.5,
        "sawtooth-loss": 0.4,
    },
    proofs=(
        "lr-tenth",
        "lr-hundredth",
        "lowest-rate-for-all",
        "lr-thousandth",
        "constant-schedule",
    ),
    refutations=("clear-gradients", "initialise", "no-momentum", "mean-loss"),
    fix=(
        "Divide the learning rate of {site} by 10 until the loss falls steadily, then take half"
        " of the highest that does; steadytrain.optim.lr_range_test finds it."
    ),
)
