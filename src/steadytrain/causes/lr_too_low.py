"""The learning rate takes steps too short to get anywhere.

## What it is
The learning rate takes steps too short to get anywhere in the time there is.

## How it shows
The loss falls along a straight, shallow line; updates are below a hundred-thousandth of the
weights.

## What proves it
Training comes back with one of these alone, and not with another seed: learning rate x 100;
learning rate x 1000; learning rate x 10000; learning rate x 10.

## What refutes it
If ten, a hundred and a thousand times the rate change nothing, something else stops the weights.
Against it speaks a run that comes back with: clip the gradient norm at 1 and nothing else; eps of
1e-8; everything in float32.

## The fix
Multiply the learning rate of the place that was found by 10 until the loss falls fast, and back
off once it jumps; usual values are 1e-3 for Adam, 1e-1 for SGD with batch norm.

## Source
Bengio 2012, section 3.1.1; steadytrain.optim.STARTING_RATES with their sources.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"update-ratio-too-small": 0.8, "loss-plateau": 0.5, "rate-far-off": 0.9},
    proofs=("lr-times-hundred", "lr-times-thousand", "lr-times-ten-thousand", "lr-times-ten"),
    refutations=("clip-loosened", "adam-eps-small", "float32"),
    fix=(
        "Multiply the learning rate of {site} by 10 until the loss falls fast, and back off "
        "once it jumps; usual values are 1e-3 for Adam, 1e-1 for SGD with batch norm."
    ),
)
