"""Probabilities are given where the loss expects logits.

## What it is
Probabilities are given where the loss expects logits: a softmax before cross_entropy, a sigmoid
before the loss with logits.

## How it shows
The loss cannot fall below ln(classes - 1 + e) - 1, gradients are weak, and training is slow but
not dead.

## What proves it
Training comes back with one of these alone, and not with another seed: the loss given the form of
output it expects; no activation behind the last layer.

## What refutes it
If raw scores change nothing, the last activation was not there. Against it speaks a run that
comes back with: learning rate x 10.

## The fix
Remove the softmax or sigmoid at the place that was found and give the raw scores to cross_entropy
or binary_cross_entropy_with_logits; apply it only where predictions are shown.

## Source
torch.nn.CrossEntropyLoss: the input is expected to contain the unnormalized logits.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "probabilities-for-logits": 1.0,
        "softmax-before-cross-entropy": 1.0,
        "loss-plateau": 0.2,
        "sigmoid-before-bce-with-logits": 1.0,
    },
    proofs=("logits-head", "no-final-activation"),
    refutations=("lr-times-ten",),
    fix=(
        "Remove the softmax or sigmoid at {site} and give the raw scores to cross_entropy or "
        "binary_cross_entropy_with_logits; apply it only where predictions are shown."
    ),
)
