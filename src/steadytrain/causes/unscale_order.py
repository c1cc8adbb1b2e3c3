"""Gradients are clipped or inspected while the loss scale is still in them.

## What it is
Gradients are clipped or inspected while the loss scale is still in them.

## How it shows
The clip acts in every step by a factor of the loss scale, and steps are tiny.

## What proves it
Training comes back with one of these alone, and not with another seed: gradients unscaled before
anything else is done to them.

## What refutes it
If unscaling first changes nothing, the order was right. Against it speaks a run that comes back
with: clip the gradient norm at 1 and nothing else.

## The fix
Call scaler.unscale_(optimizer) between backward and clip_grad_norm_, then scaler.step(optimizer)
and scaler.update().

## Source
torch.amp examples, Gradient clipping.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "clip-always-active": 0.5,
        "clip-before-unscale": 1.0,
        "clip-far-below-gradient": 0.5,
        "gradients-of-one-size": 0.5,
        "scaler-mismatch": 0.8,
    },
    proofs=("unscale-first",),
    refutations=("clip-loosened",),
    fix=(
        "Call scaler.unscale_(optimizer) between backward and clip_grad_norm_, then "
        "scaler.step(optimizer) and scaler.update()."
    ),
)
