"""Parameters that should be trained are in no optimizer.

## What it is
Parameters that should be trained are in no optimizer.

## How it shows
They get gradients and never move; the rest of the network trains around them.

## What proves it
Training comes back with one of these alone, and not with another seed: every parameter of the
model in the optimizer.

## What refutes it
If holding them changes nothing, they were not needed. Against it speaks a run that comes back
with: learning rate x 10.

## The fix
Build the optimizer on model.parameters(), after every layer (the place that was found among them)
exists; print the number of parameters it holds against the model's.

## Source
torch.optim, Constructing it.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "parameters-not-in-optimizer": 1.0,
        "untrained-parameter": 0.9,
        "stale-optimizer-parameters": 0.5,
        "untrained-module": 1.0,
        "requires-grad-after-optimizer": 1.0,
    },
    proofs=("add-params",),
    refutations=("lr-times-ten",),
    fix=(
        "Build the optimizer on model.parameters(), after every layer ({site} among them) "
        "exists; print the number of parameters it holds against the model's."
    ),
)
