"""A router sends nearly everything to few experts and the others starve.

## What it is
A router sends nearly everything to few experts, which train and are chosen the more, while the
others starve.

## How it shows
A few experts get almost all tokens, the gradients of the others are zero.

## What proves it
Training comes back with one of these alone, and not with another seed: a balance term for the
router.

## What refutes it
If balanced experts do no better, one expert is enough for the task. Against it speaks a run that
comes back with: learning rate x 10.

## The fix
Add the load-balancing term 0.01 x experts x sum(share_i x mean probability_i) to the loss, begin
the router of the place that was found small and without bias, and add noise to its scores.

## Source
Fedus et al. 2022 (Switch Transformers), section 2.2; Shazeer et al. 2017.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"untrained-parameter": 0.2, "starved-experts": 0.95},
    proofs=("balance-experts",),
    refutations=("lr-times-ten",),
    fix=(
        "Add the load-balancing term 0.01 x experts x sum(share_i x mean probability_i) to the "
        "loss, begin the router of {site} small and without bias, and add noise to its scores."
    ),
)
