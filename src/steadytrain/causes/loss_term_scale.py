"""One term of the loss drowns the others.

## What it is
One term of the loss drowns the others: its weight is in another unit, or wrong by a thousand.

## How it shows
The total falls while the part that matters stands; the gradient is that of one term.

## What proves it
Training comes back with one of these alone, and not with another seed: the heaviest term of the
loss at a tenth of the next; term 2 of the loss at a hundredth of its weight; term 3 of the loss
at a hundredth of its weight; every term of the loss scaled to a gradient of norm 1.

## What refutes it
If a lighter term changes nothing, the terms were in balance. Against it speaks a run that comes
back with: learning rate x 1/10.

## The fix
Print every term and the norm of its gradient (torch.autograd.grad(term, model.parameters(),
retain_graph=True)), and weight them so that the main one leads: a penalty begins at a tenth of
it.

## Source
Kendall et al. 2018; Chen et al. 2018 (GradNorm).
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "clip-always-active": 0.3,
        "loss-plateau": 0.2,
        "drowning-penalty": 1.0,
        "fading-output": 0.4,
        "detached-term": 0.4,
        "uneven-loss-terms": 0.9,
    },
    proofs=("lighter-term", "lighter-term-2", "lighter-term-3", "limit-terms"),
    refutations=("lr-tenth",),
    fix=(
        "Print every term and the norm of its gradient (torch.autograd.grad(term, "
        "model.parameters(), retain_graph=True)), and weight them so that the main one leads: a"
        " penalty begins at a tenth of it."
    ),
)
