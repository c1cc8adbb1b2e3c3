"""One batch among good ones is corrupt, mislabelled or extreme.

## What it is
One batch among good ones is corrupt, mislabelled or extreme, and one step on it undoes many.

## How it shows
The loss jumps at one step, comes back slowly or not at all, and jumps again when the batch
returns in the next pass.

## What proves it
Training comes back with one of these alone, and not with another seed: the suspect batches left
out.

## What refutes it
If the jump stays without the batch, or comes at another step under another order of the data, the
optimizer is at fault. Against it speaks a run that comes back with: learning rate x 1/10; warm up
over the first tenth of the steps.

## The fix
Look at the samples of the batch that was read at the step of the jump and repair or leave them
out; clip the gradient norm so that no single batch can move the weights far.

## Source
Chowdhery et al. 2022 (PaLM), section 5.1: spikes vanished when the run was restarted before them
without those batches.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "loss-spike": 0.7,
        "divergence": 0.25,
        "nonfinite-loss": 0.2,
        "exploding-gradient": 0.2,
        "unclipped-outliers": 0.5,
        "outlier-batches": 0.9,
    },
    proofs=("drop-suspects",),
    refutations=("lr-tenth", "warmup"),
    fix=(
        "Look at the samples of the batch that was read at the step of the jump and repair or "
        "leave them out; clip the gradient norm so that no single batch can move the weights "
        "far."
    ),
)
