"""A deep stack that normalises after each sum runs at its full rate from the start.

## What it is
A deep stack that normalises after each sum runs at its full rate from the start: gradients near
the output are far larger than below.

## How it shows
The loss stands or diverges in the first hundred steps of a transformer of eight layers or more; a
shallow one trains.

## What proves it
Training comes back with one of these alone, and not with another seed: norms in front of the
branches instead of behind; warm up over the first half of the steps.

## What refutes it
If the pre-norm form fails alike, the placement of the norms is not the matter. Against it speaks
a run that comes back with: initialised for the architecture.

## The fix
Normalise inside the branch, x = x + f(norm(x)), with one norm at the end (norm_first=True in
torch's layers); or keep post-norm and warm up over several thousand steps.

## Source
Xiong et al. 2020, On Layer Normalization in the Transformer Architecture.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "loss-plateau": 0.2,
        "divergence": 0.15,
        "vanishing-gradient": 0.2,
        "post-norm-stack": 0.9,
    },
    proofs=("pre-norm", "warmup-long"),
    refutations=("initialise",),
    fix=(
        "Normalise inside the branch, x = x + f(norm(x)), with one norm at the end "
        "(norm_first=True in torch's layers); or keep post-norm and warm up over several "
        "thousand steps."
    ),
)
