"""The discriminator is so sure that the generator gets no gradient.

## What it is
The discriminator is so sure that the generator gets no gradient it could use.

## How it shows
The discriminator's loss goes to zero, the generator's rises, its gradient falls and its samples
stand still.

## What proves it
Training comes back with one of these alone, and not with another seed: every parameter group at
the highest of the learning rates; every parameter group at the lowest of the learning rates.

## What refutes it
If equal rates change nothing, look at the discriminator's loss and its output's form. Against it
speaks a run that comes back with: clip the gradient norm at 1.

## The fix
Give both networks the same rate (2e-4, betas (0.5, 0.999)), update the generator as often as the
discriminator, and use the non-saturating loss; spectral norm in the discriminator.

## Source
Goodfellow et al. 2014, section 3; Radford et al. 2016; Heusel et al. 2017 (two rates); Miyato et
al. 2018.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"update-ratio-too-small": 0.2, "uneven-rates": 0.5, "fake-not-detached": 0.5},
    proofs=("highest-rate-for-all", "lowest-rate-for-all"),
    refutations=("clip-at-one",),
    fix=(
        "Give both networks the same rate (2e-4, betas (0.5, 0.999)), update the generator as "
        "often as the discriminator, and use the non-saturating loss; spectral norm in the "
        "discriminator."
    ),
)
