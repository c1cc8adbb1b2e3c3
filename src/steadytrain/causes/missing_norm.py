"""A network of this depth needs normalisation and has none.

## What it is
A network of this depth needs normalisation and has none.

## How it shows
Activations drift in scale from layer to layer; training works at a tiny rate only, or not at all.

## What proves it
Training comes back with one of these alone, and not with another seed: a norm behind every hidden
layer.

## What refutes it
If new weights alone suffice, the network is shallow enough without a norm. Against it speaks a
run that comes back with: initialised for the architecture; learning rate x 10.

## The fix
Put a norm in front of every activation of the place that was found: BatchNorm2d or GroupNorm
behind convolutions, LayerNorm or RMSNorm elsewhere (steadytrain.blocks.norm_for says which).

## Source
Ioffe and Szegedy 2015; Ba et al. 2016; Santurkar et al. 2018.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"vanishing-gradient": 0.35, "exploding-gradient": 0.3, "residual-growth": 0.3},
    proofs=("insert-norms",),
    refutations=("initialise", "lr-times-ten"),
    fix=(
        "Put a norm in front of every activation of {site}: BatchNorm2d or GroupNorm behind "
        "convolutions, LayerNorm or RMSNorm elsewhere (steadytrain.blocks.norm_for says which)."
    ),
)
