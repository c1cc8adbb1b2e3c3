"""A value exceeds 65,504, the largest of half precision.

## What it is
A value exceeds 65,504, the largest of half precision, and becomes infinite.

## How it shows
Infinity or NaN in one layer, for an input or a loss that float32 takes; the scaler skips steps.

## What proves it
Training comes back with one of these alone, and not with another seed: everything in float32.

## What refutes it
If float32 breaks alike, the number is too large for any format: look at its origin. Against it
speaks a run that comes back with: exponents within the range of the format; learning rate x 1/10.

## The fix
Compute the place that was found in float32 (steadytrain.blocks.Float32Island, or
autocast(enabled=False) around it): squares, norms, sums, softmax and losses; or use bfloat16.

## Source
Micikevicius et al. 2018, section 3; IEEE 754 binary16.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "nonfinite-activation": 0.4,
        "nonfinite-loss": 0.15,
        "nonfinite-parameter": 0.3,
        "loss-scale-collapse": 0.5,
        "nonfinite-gradient": 0.2,
        "nonfinite-later": 0.6,
    },
    proofs=("float32",),
    refutations=("safe-exp", "lr-tenth"),
    fix=(
        "Compute {site} in float32 (steadytrain.blocks.Float32Island, or "
        "autocast(enabled=False) around it): squares, norms, sums, softmax and losses; or use "
        "bfloat16."
    ),
)
