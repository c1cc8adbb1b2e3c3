"""An attention row has nothing left to attend to.

## What it is
An attention row has nothing left to attend to, and the softmax of nothing but minus infinity is
NaN.

## How it shows
NaN in the output of one attention layer, for a sequence that is all padding or a window that the
mask closes.

## What proves it
Training comes back with one of these alone, and not with another seed: empty rows of attention
give zeros.

## What refutes it
If empty rows that give zeros change nothing, no row was empty. Against it speaks a run that comes
back with: divisors at least 1e-8 from zero; clip the gradient norm at 1.

## The fix
Let every query of the place that was found see itself, combine masks as booleans, and set rows
without any key to zero after the softmax (steadytrain.blocks.safe_attention).

## Source
torch.nn.functional.scaled_dot_product_attention; PyTorch's discussion of fully masked rows.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"nonfinite-activation": 0.4, "empty-mask-rows": 1.0, "nonfinite-gradient": 0.2},
    proofs=("safe-masks",),
    refutations=("safe-div", "clip-at-one"),
    fix=(
        "Let every query of {site} see itself, combine masks as booleans, and set rows without "
        "any key to zero after the softmax (steadytrain.blocks.safe_attention)."
    ),
)
