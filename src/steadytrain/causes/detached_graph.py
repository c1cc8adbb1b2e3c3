"""A part of the model is cut off from the loss and gets no gradient.

## What it is
A part of the model is cut off from the loss: .detach(), .data, numpy, argmax or no_grad in
between.

## How it shows
Everything before the cut has no gradient, everything behind it trains.

## What proves it
Training comes back with one of these alone, and not with another seed: no tensor detached inside
the model.

## What refutes it
If the connected graph changes nothing, what lies before the cut was meant to stay. Against it
speaks a run that comes back with: all parameters trainable; every parameter of the model in the
optimizer.

## The fix
Keep tensors with their graph between the place that was found and the loss: no .detach(), .data,
.item() or .numpy() there, and torch instead of numpy.

## Source
torch.Tensor.detach; the autograd mechanics of torch.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "detached-parameters": 1.0,
        "untrained-parameter": 0.6,
        "graph-cut-before-loss": 1.0,
        "loss-plateau": 0.15,
        "gradients-not-there": 0.6,
        "detached-loss": 1.0,
        "detached-term": 0.8,
        "generator-loss-detached": 1.0,
    },
    proofs=("reattach",),
    refutations=("unfreeze", "add-params"),
    fix=(
        "Keep tensors with their graph between {site} and the loss: no .detach(), .data, "
        ".item() or .numpy() there, and torch instead of numpy."
    ),
)
