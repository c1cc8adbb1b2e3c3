"""Gradients fall below the smallest half-precision number and become zero.

## What it is
Gradients fall below 6e-8, the smallest half-precision number, and become zero.

## How it shows
A large share of the gradients is exactly zero, layers with small gradients stand, no loss scaler.

## What proves it
Training comes back with one of these alone, and not with another seed: a loss scaler, and steps
that overflow skipped; everything in float32.

## What refutes it
If float32 or a scaler changes nothing, the gradients were large enough. Against it speaks a run
that comes back with: learning rate x 100; eps of 1e-16.

## The fix
Use torch.amp.GradScaler (scale, unscale_, step, update), or bfloat16; multiply a loss that was
divided by something large back.

## Source
Micikevicius et al. 2018, section 3.2.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "untrained-parameter": 0.3,
        "update-ratio-too-small": 0.3,
        "vanishing-gradient": 0.2,
        "gradients-round-to-zero": 0.9,
        "half-precision-underflow": 1.0,
        "backward-under-autocast": 0.7,
        "bare-backward": 0.7,
    },
    proofs=("loss-scaler", "float32"),
    refutations=("lr-times-hundred", "adam-eps-tiny"),
    fix=(
        "Use torch.amp.GradScaler (scale, unscale_, step, update), or bfloat16; multiply a loss"
        " that was divided by something large back."
    ),
)
