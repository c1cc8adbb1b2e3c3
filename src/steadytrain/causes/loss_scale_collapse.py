"""The loss scale falls and falls because every step overflows.

## What it is
The loss scale falls and falls because every step overflows: some gradient is infinite at any
scale.

## How it shows
The scale halves at every step down to its floor or to zero, and steps are skipped.

## What proves it
Training comes back with one of these alone, and not with another seed: everything in float32;
roots and norms with a slope at zero.

## What refutes it
If float32 breaks alike, an operation is at fault and not the precision. Against it speaks a run
that comes back with: learning rate x 1/10.

## The fix
Find the layer whose gradient is infinite (the place that was found) and compute it in float32;
give the scaler a floor; or use bfloat16.

## Source
Micikevicius et al. 2018, section 3.2; torch.amp.GradScaler.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"loss-scale-collapse": 0.9, "scaler-without-update": 0.7},
    proofs=("float32", "safe-sqrt"),
    refutations=("lr-tenth",),
    fix=(
        "Find the layer whose gradient is infinite ({site}) and compute it in float32; give the"
        " scaler a floor; or use bfloat16."
    ),
)
