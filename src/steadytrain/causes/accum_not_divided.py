"""Accumulated gradients are summed without dividing by their number.

## What it is
Gradients of several microbatches are added and not divided by their number.

## How it shows
The step is as many times too long as there are microbatches; plain descent diverges, Adam hardly
notices.

## What proves it
Training comes back with one of these alone, and not with another seed: gradients divided by the
number of backward passes.

## What refutes it
If the division changes nothing, the sum was divided already. Against it speaks a run that comes
back with: clip the gradient norm at 1.

## The fix
Divide each loss by the number of microbatches of the window before backward, (loss /
window).backward(); where microbatches differ in size, by the number of items or tokens of the
whole window.

## Source
Hugging Face 2024 on gradient accumulation; Goyal et al. 2017, section 5.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "accumulation-not-divided": 1.0,
        "gradients-thrown-away": 0.3,
        "divergence": 0.2,
        "update-ratio-too-large": 0.15,
    },
    proofs=("divide-by-microbatches",),
    refutations=("clip-at-one",),
    fix=(
        "Divide each loss by the number of microbatches of the window before backward, (loss / "
        "window).backward(); where microbatches differ in size, by the number of items or "
        "tokens of the whole window."
    ),
)
