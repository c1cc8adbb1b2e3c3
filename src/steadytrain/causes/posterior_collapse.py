"""The decoder ignores the latent variable.

## What it is
The decoder ignores the latent variable: the divergence term is so heavy that the posterior
becomes the prior.

## How it shows
The divergence falls to zero, samples do not depend on the input, reconstruction stays at that of
the mean.

## What proves it
Training comes back with one of these alone, and not with another seed: term 2 of the loss at a
hundredth of its weight; term 1 of the loss at a hundredth of its weight; term 3 of the loss at a
hundredth of its weight.

## What refutes it
If a lighter divergence changes nothing, the latent variable was in use or the decoder needs none.
Against it speaks a run that comes back with: learning rate x 10.

## The fix
Raise the weight of the divergence from 0 over the first epochs, or keep it below 1 / (number of
pixels) where the reconstruction is a mean; free bits; a weaker decoder.

## Source
Bowman et al. 2016, section 3.1; Higgins et al. 2017; Kingma et al. 2016 (free bits).
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"vanishing-gradient": 0.2, "loss-plateau": 0.2, "fading-output": 0.8},
    proofs=("lighter-term-2", "lighter-term-1", "lighter-term-3"),
    refutations=("lr-times-ten",),
    fix=(
        "Raise the weight of the divergence from 0 over the first epochs, or keep it below 1 / "
        "(number of pixels) where the reconstruction is a mean; free bits; a weaker decoder."
    ),
)
