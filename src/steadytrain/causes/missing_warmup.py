"""The first steps run at the full rate, before the optimizer knows the gradients' scale.

## What it is
The first steps run at the full rate, before the optimizer knows the gradients' scale.

## How it shows
The loss jumps within the first dozens of steps and settles on a high plateau; the same rate later
is harmless.

## What proves it
Training comes back with one of these alone, and not with another seed: warm up over the first
tenth of the steps; warm up over the first half of the steps.

## What refutes it
If a ramp fails and a tenth of the rate suffices, the rate is too high throughout. Against it
speaks a run that comes back with: learning rate x 1/100.

## The fix
Raise the learning rate linearly from near zero over the first 2 / (1 - beta2) steps or a tenth of
the run (steadytrain.optim.warmup_cosine).

## Source
Goyal et al. 2017, section 2.2; Liu et al. 2020; Ma and Yarats 2021 for the length.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"update-ratio-too-large": 0.45, "divergence": 0.4, "loss-spike": 0.3},
    proofs=("warmup", "warmup-long"),
    refutations=("lr-hundredth",),
    fix=(
        "Raise the learning rate linearly from near zero over the first 2 / (1 - beta2) steps "
        "or a tenth of the run (steadytrain.optim.warmup_cosine)."
    ),
)
