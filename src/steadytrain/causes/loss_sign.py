"""The loss, or one of its terms, is maximised.

## What it is
The loss, or one of its terms, is maximised: a minus is missing or one too many.

## How it shows
The loss goes down without bound while the metric gets worse, or one term grows for ever.

## What proves it
Training comes back with one of these alone, and not with another seed: the loss with its other
sign; term 1 of the loss with its other sign; term 2 of the loss with its other sign; term 3 of
the loss with its other sign.

## What refutes it
If neither sign trains, the sign is not the matter. Against it speaks a run that comes back with:
learning rate x 1/100.

## The fix
Turn the sign of the loss, or of the term that grows: policy gradients minimise -(advantage *
log_prob), evidence bounds add the divergence to the reconstruction error.

## Source
Williams 1992; Kingma and Welling 2014, equation 3.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "divergence": 0.4,
        "nonfinite-loss": 0.1,
        "loss-without-bound": 0.9,
        "loss-direction": 1.0,
    },
    proofs=("flip-loss", "flip-term-1", "flip-term-2", "flip-term-3"),
    refutations=("lr-hundredth",),
    fix=(
        "Turn the sign of the loss, or of the term that grows: policy gradients minimise "
        "-(advantage * log_prob), evidence bounds add the divergence to the reconstruction "
        "error."
    ),
)
