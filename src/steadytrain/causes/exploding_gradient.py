"""Depth times gain multiplies the gradient at every layer.

## What it is
Depth times gain, above one per layer, multiplies the gradient from layer to layer.

## How it shows
Gradient norms grow steadily from the last layer to the first, the clip acts in every step, the
loss jumps or is NaN early.

## What proves it
Training comes back with one of these alone, and not with another seed: weights that are too large
initialised anew; a norm behind every hidden layer; clip the gradient norm at 1.

## What refutes it
If a clip at norm 1 alone suffices, the large gradients are rare and not built in. Against it
speaks a run that comes back with: learning rate x 1/100.

## The fix
Initialise the place that was found with gain 1 for its activation
(steadytrain.blocks.initialize(model)), put a norm into every layer, and clip the gradient norm.

## Source
Pascanu et al. 2013, section 2; He et al. 2015.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"exploding-gradient": 0.7, "signal-flow": 0.6, "nonfinite-gradient": 0.2},
    proofs=("initialise-smaller", "insert-norms", "clip-at-one"),
    refutations=("lr-hundredth",),
    fix=(
        "Initialise {site} with gain 1 for its activation "
        "(steadytrain.blocks.initialize(model)), put a norm into every layer, and clip the "
        "gradient norm."
    ),
)
