"""Too little of the signal survives dropout, or a share to keep was taken for one to drop.

## What it is
Too little of the signal survives dropout, or the share to keep was taken for the share to drop.

## How it shows
The training loss stays far above the validation loss, or both stand; the narrow layers suffer
most.

## What proves it
Training comes back with one of these alone, and not with another seed: dropout of a tenth at the
most.

## What refutes it
If a tenth of dropout changes nothing, it was not what held the loss up. Against it speaks a run
that comes back with: learning rate x 10.

## The fix
Set p of the place that was found to 0.1-0.3; nn.Dropout(p) drops the share p, so what was meant
to be kept at 0.9 is p=0.1. None in a bottleneck.

## Source
Srivastava et al. 2014, section A.1; torch.nn.Dropout, where p is the chance of zero.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"loss-plateau": 0.25, "dropout-rate": 0.95, "crowding-dropout": 1.0},
    proofs=("less-dropout",),
    refutations=("lr-times-ten",),
    fix=(
        "Set p of {site} to 0.1-0.3; nn.Dropout(p) drops the share p, so what was meant to be "
        "kept at 0.9 is p=0.1. None in a bottleneck."
    ),
)
