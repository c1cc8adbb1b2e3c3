"""The model is too small for the task.

## What it is
The model is too small for the task.

## How it shows
Training and validation stop together at a loss that a larger model undercuts; one small batch
cannot be learned by heart.

## What proves it
Training comes back with one of these alone, and not with another seed: hidden layers four times
as wide.

## What refutes it
If another rate, loss or initialisation brings the loss down, the model was large enough. Against
it speaks a run that comes back with: learning rate x 10; initialised for the architecture.

## The fix
Make the place that was found wider, then deeper, until a handful of samples can be learned by
heart.

## Source
Karpathy 2019: overfit first, regularise then; Goodfellow et al. 2016, section 5.2.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"loss-plateau": 0.15, "tiny-batch": 0.4},
    proofs=("wider",),
    refutations=("lr-times-ten", "initialise"),
    fix="Make {site} wider, then deeper, until a handful of samples can be learned by heart.",
)
