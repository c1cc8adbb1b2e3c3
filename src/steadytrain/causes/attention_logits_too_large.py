"""Attention scores are unscaled or growing, so each query sees one key only.

## What it is
Attention scores are unscaled or grow in training, so that each query sees one key and the softmax
passes no gradient.

## How it shows
The entropy of the attention falls to zero, the largest logit passes 50 or 100, the loss plateaus
or spikes late.

## What proves it
Training comes back with one of these alone, and not with another seed: queries and keys
normalised; every parameter group at the lowest of the learning rates; weights that are too large
initialised anew.

## What refutes it
If queries and keys of unit size change nothing, the scores were harmless. Against it speaks a run
that comes back with: clip the gradient norm at 1.

## The fix
Divide the scores in the place that was found by sqrt(head size), normalise queries and keys
(steadytrain.blocks.qk_norm), and give all attention weights the same learning rate as the rest.

## Source
Vaswani et al. 2017, section 3.2.1; Zhai et al. 2023 (entropy collapse); Dehghani et al. 2023
(qk-norm).
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"attention-collapse": 0.9, "sharp-attention": 1.0, "uneven-rates": 0.3},
    proofs=("qk-norm", "lowest-rate-for-all", "initialise-smaller"),
    refutations=("clip-at-one",),
    fix=(
        "Divide the scores in {site} by sqrt(head size), normalise queries and keys "
        "(steadytrain.blocks.qk_norm), and give all attention weights the same learning rate as"
        " the rest."
    ),
)
