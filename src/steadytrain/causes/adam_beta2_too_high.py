"""The second moment is stale after the gradients changed their scale.

## What it is
The second moment remembers gradients of another scale, from before a change of the loss or of
what is trained.

## How it shows
Steps are tiny long after large gradients, or far too long after tiny ones; update size does not
follow the gradient.

## What proves it
Training comes back with one of these alone, and not with another seed: beta2 of 0.95; beta2 of
0.9; beta2 of 0.999.

## What refutes it
If a shorter memory changes nothing, the moments were up to date. Against it speaks a run that
comes back with: learning rate x 10.

## The fix
Use beta2 = 0.95 to 0.99, and reset the optimizer's state when the loss changes its scale or
layers are unfrozen.

## Source
Shazeer and Stern 2018, section 6; Wortsman et al. 2023, section 3.5; Brown et al. 2020 for 0.95.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "extreme-momentum": 0.7,
        "stale-second-moment": 0.95,
        "update-ratio-too-small": 0.35,
        "loss-spike": 0.1,
    },
    proofs=("beta2-095", "beta2-09", "beta2-0999"),
    refutations=("lr-times-ten",),
    fix=(
        "Use beta2 = 0.95 to 0.99, and reset the optimizer's state when the loss changes its "
        "scale or layers are unfrozen."
    ),
)
