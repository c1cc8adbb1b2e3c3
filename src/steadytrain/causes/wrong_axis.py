"""A norm, softmax or batch runs over the wrong dimension.

## What it is
A norm, softmax, recurrence or view runs over the wrong dimension, and the shapes happen to fit.

## How it shows
A sample's output depends on the other samples of its batch, or on later positions; the loss
stalls above what the task allows.

## What proves it
Training comes back with one of these alone, and not with another seed: softmax over the last
dimension instead of the batch; the other dimension taken for time; attention heads split by
channel.

## What refutes it
If the other axis changes nothing, the shapes mean what the code takes them for. Against it speaks
a run that comes back with: the loss given the form of output it expects.

## The fix
In the place that was found: dim=-1 for a softmax over classes, batch_first=True for recurrent
layers fed [batch, time, width], view(n, time, heads, -1).transpose(1, 2) for heads. Test that one
sample's output does not change with the others.

## Source
Karpathy 2019: backpropagate the output of one sample to see which inputs it depends on.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "batch-dependence": 1.0,
        "looks-ahead": 0.6,
        "loss-plateau": 0.15,
        "softmax-over-batch": 1.0,
        "recurrent-over-batch": 1.0,
        "softmax-without-dim": 0.6,
    },
    proofs=("last-axis", "batch-first", "split-heads"),
    refutations=("logits-head",),
    fix=(
        "In {site}: dim=-1 for a softmax over classes, batch_first=True for recurrent layers "
        "fed [batch, time, width], view(n, time, heads, -1).transpose(1, 2) for heads. Test "
        "that one sample's output does not change with the others."
    ),
)
