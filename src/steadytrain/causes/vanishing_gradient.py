"""Depth times the activation's slope leaves early layers without a gradient.

## What it is
Depth times the activation's slope, below one per layer, leaves the early layers without a
gradient.

## How it shows
Gradient norms fall steadily from the last layer to the first; the late layers train and the early
ones stand.

## What proves it
Training comes back with one of these alone, and not with another seed: a norm behind every hidden
layer; GELU in the hidden layers; a shortcut around every block.

## What refutes it
If new weights alone bring it back, the initialisation was the cause; if a higher rate does, the
rate was. Against it speaks a run that comes back with: learning rate x 100; initialised for the
architecture.

## The fix
Use nn.GELU() or nn.ReLU() in the place that was found, x = x + layer(norm(x)) from layer to
layer, and steadytrain.blocks.initialize(model); sigmoid and tanh only at the end.

## Source
Hochreiter 1991; Glorot and Bengio 2010; the bound 0.25^L of the sigmoid's slope.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"vanishing-gradient": 0.8, "loss-plateau": 0.4, "signal-flow": 0.9},
    proofs=("insert-norms", "gelu", "insert-shortcuts"),
    refutations=("lr-times-hundred", "initialise"),
    fix=(
        "Use nn.GELU() or nn.ReLU() in {site}, x = x + layer(norm(x)) from layer to layer, and "
        "steadytrain.blocks.initialize(model); sigmoid and tanh only at the end."
    ),
)
