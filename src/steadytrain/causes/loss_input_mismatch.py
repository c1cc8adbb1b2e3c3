"""The loss expects another form of output than it is given.

## What it is
The loss expects another form of output than it gets: log-probabilities, one logit, a
distribution.

## How it shows
A negative or a constant loss; nll_loss of raw scores falls without bound while nothing is
learned.

## What proves it
Training comes back with one of these alone, and not with another seed: the loss given the form of
output it expects; softmax over the last dimension instead of the batch.

## What refutes it
If the right form changes nothing, the loss got what it expects. Against it speaks a run that
comes back with: the loss with its other sign.

## The fix
Pair the loss with what it expects: nll_loss and kl_div take log_softmax(scores, -1),
cross_entropy takes scores, binary_cross_entropy takes sigmoid(scores).

## Source
The Shape and Input notes of each loss in torch.nn.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "loss-input": 1.0,
        "loss-input-mismatch": 0.95,
        "loss-plateau": 0.2,
        "divergence": 0.1,
        "loss-without-bound": 0.5,
        "loss-class-called-with-tensors": 1.0,
    },
    proofs=("logits-head", "last-axis"),
    refutations=("flip-loss",),
    fix=(
        "Pair the loss with what it expects: nll_loss and kl_div take log_softmax(scores, -1), "
        "cross_entropy takes scores, binary_cross_entropy takes sigmoid(scores)."
    ),
)
