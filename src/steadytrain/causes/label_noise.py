"""Many labels are wrong: training stalls or memorises them, and validation does not follow.

## What it is
A large share of the labels is wrong, so there is less to learn than the loss asks for.

## How it shows
The training loss stalls early above zero or falls while validation gets worse; every setting of
the optimizer gives the same.

## What proves it
No trial can: the right labels are in nobody's hands but the user's: no change to the program can
put them back.

## What refutes it
If another rate, loss or model brings the loss down and validation with it, the labels can be
learned. Against it speaks a run that comes back with: labels shifted back by one place; labels
shifted forward by one place; learning rate x 10.

## The fix
Sort the samples by loss under a trained model (reduction='none'), correct or leave out the wrong
ones among the highest; until then pass label_smoothing=0.1 and stop early.

## Source
Zhang et al. 2017, Understanding deep learning requires rethinking generalization; Northcutt et
al. 2021 on noise in test sets.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"label-noise": 0.9, "loss-plateau": 0.3},
    proofs=(),
    refutations=("shift-labels-back", "shift-labels-forward", "lr-times-ten"),
    fix=(
        "Sort the samples by loss under a trained model (reduction='none'), correct or leave "
        "out the wrong ones among the highest; until then pass label_smoothing=0.1 and stop "
        "early."
    ),
    unprovable="the right labels are in nobody's hands but the user's: no change to the program can put them back",
)
