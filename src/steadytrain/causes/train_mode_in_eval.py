"""The model is evaluated in training mode.

## What it is
The model is evaluated in training mode: dropout drops, and batch norms learn from validation
data.

## How it shows
Validation is noisy and worse than it is, and training changes when validation is switched off.

## What proves it
Training comes back with one of these alone, and not with another seed: evaluation mode wherever
nothing is differentiated.

## What refutes it
If evaluation mode changes nothing, validation was measured rightly. Against it speaks a run that
comes back with: batch norms reset, with statistics of the batches.

## The fix
Wrap validation in model.eval() and torch.no_grad(), and call model.train() afterwards.

## Source
torch.nn.Module.eval; the notes on evaluation mode.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "validation-without-eval": 1.0,
        "evaluation-mode": 0.1,
        "validation-in-training-mode": 1.0,
        "training-mode-in-evaluation": 1.0,
    },
    proofs=("eval-when-validating",),
    refutations=("fresh-batchnorm",),
    fix=("Wrap validation in model.eval() and torch.no_grad(), and call model.train() afterwards."),
)
