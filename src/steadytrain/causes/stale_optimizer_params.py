"""The optimizer holds tensors that the model no longer uses.

## What it is
The optimizer holds tensors that the model no longer uses: of a copy, or of layers that were
replaced.

## How it shows
Steps are taken and nothing moves; the optimizer's tensors are none of the model's.

## What proves it
Training comes back with one of these alone, and not with another seed: the optimizer rebuilt on
the model's current parameters.

## What refutes it
If the rebuilt optimizer trains no better, it held the right ones. Against it speaks a run that
comes back with: learning rate x 10.

## The fix
Build the optimizer last: after .to(device), copying, wrapping, replacing layers (the place that
was found) and loading.

## Source
torch.optim, Constructing it: move a model before the optimizer is constructed.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "stale-optimizer-parameters": 1.0,
        "untrained-parameter": 0.7,
        "optimizer-before-move": 0.9,
        "stale-optimizer": 1.0,
    },
    proofs=("rebuild-optimizer",),
    refutations=("lr-times-ten",),
    fix=(
        "Build the optimizer last: after .to(device), copying, wrapping, replacing layers "
        "({site}) and loading."
    ),
)
