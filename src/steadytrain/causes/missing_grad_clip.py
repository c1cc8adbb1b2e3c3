"""Rare large gradients reach the weights unchecked.

## What it is
Rare large gradients reach the weights unchecked and undo what was learned.

## How it shows
The gradient norm jumps by ten or more now and then, and the loss with it; recurrent networks and
heavy-tailed targets.

## What proves it
Training comes back with one of these alone, and not with another seed: clip the gradient norm at
1; clip the gradient norm at its usual size.

## What refutes it
If the run breaks with a clip too, the gradients are not rare: look at the rate or the
initialisation. Against it speaks a run that comes back with: learning rate x 1/100; the suspect
batches left out.

## The fix
Call torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) after backward (and unscale_) and
before optimizer.step(); the threshold near the usual norm.

## Source
Pascanu et al. 2013, section 3.2; Zhang et al. 2020, Why gradient clipping accelerates training.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "loss-spike": 0.5,
        "exploding-gradient": 0.5,
        "clip-after-step": 0.6,
        "nonfinite-parameter": 0.35,
        "divergence": 0.3,
        "nonfinite-loss": 0.3,
        "unclipped-outliers": 0.9,
    },
    proofs=("clip-at-one", "clip-typical"),
    refutations=("lr-hundredth", "drop-suspects"),
    fix=(
        "Call torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) after backward (and "
        "unscale_) and before optimizer.step(); the threshold near the usual norm."
    ),
)
