"""Shapes that do not match are broadcast silently instead of refused.

## What it is
Predictions [n, 1] meet targets [n], and every prediction is compared with every target.

## How it shows
A regression predicts the mean of the batch whatever the input; torch may warn of different sizes.

## What proves it
Training comes back with one of these alone, and not with another seed: predictions and targets of
one shape.

## What refutes it
If equal shapes change nothing, nothing was broadcast. Against it speaks a run that comes back
with: learning rate x 10.

## The fix
Give both sides one shape, target.view_as(prediction) or prediction.squeeze(-1), and use
functional.mse_loss, which warns.

## Source
torch.nn.functional.mse_loss, the warning on a different target size.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"shape-broadcast": 1.0, "loss-plateau": 0.2},
    proofs=("shape-match",),
    refutations=("lr-times-ten",),
    fix=(
        "Give both sides one shape, target.view_as(prediction) or prediction.squeeze(-1), and "
        "use functional.mse_loss, which warns."
    ),
)
