"""The last activation cannot reach the range of the targets.

## What it is
The last activation cannot reach the range of the targets: a ReLU for signed values, a sigmoid or
tanh for large ones, a softmax over one unit.

## How it shows
Predictions stick to a border, the loss has a floor at the targets beyond it, gradients there are
zero.

## What proves it
Training comes back with one of these alone, and not with another seed: no activation behind the
last layer; targets at mean 0 and deviation 1.

## What refutes it
If a linear output changes nothing, the range was wide enough. Against it speaks a run that comes
back with: learning rate x 10.

## The fix
Remove the activation at the place that was found: a regression ends in nn.Linear. For positive
targets use functional.softplus or predict the logarithm.

## Source
Bishop 2006, Pattern Recognition and Machine Learning, section 5.1.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "output-range": 1.0,
        "dead-units": 0.3,
        "loss-plateau": 0.25,
        "vanishing-gradient": 0.1,
        "softmax-over-one-unit": 1.0,
        "output-at-its-ends": 0.9,
    },
    proofs=("no-final-activation", "normalise-targets"),
    refutations=("lr-times-ten",),
    fix=(
        "Remove the activation at {site}: a regression ends in nn.Linear. For positive targets "
        "use functional.softplus or predict the logarithm."
    ),
)
