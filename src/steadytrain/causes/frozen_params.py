"""Parameters are frozen by accident.

## What it is
Parameters are frozen by accident: the wrong name, or a freeze never undone.

## How it shows
They have no gradient at all, and the loss stalls where the rest alone can bring it.

## What proves it
Training comes back with one of these alone, and not with another seed: all parameters trainable.

## What refutes it
If the whole network trains no better, what is frozen was meant to be. Against it speaks a run
that comes back with: every parameter of the model in the optimizer; learning rate x 10.

## The fix
Call requires_grad_(True) on the place that was found, check the names that were frozen by
printing those with requires_grad False, and give them to the optimizer.

## Source
torch.Tensor.requires_grad; Yosinski et al. 2014 on what can stay frozen.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "frozen-parameters": 1.0,
        "untrained-parameter": 0.5,
        "detached-parameters": 0.3,
        "loss-plateau": 0.2,
        "requires-grad-on-module": 0.9,
    },
    proofs=("unfreeze",),
    refutations=("add-params", "lr-times-ten"),
    fix=(
        "Call requires_grad_(True) on {site}, check the names that were frozen by printing "
        "those with requires_grad False, and give them to the optimizer."
    ),
)
