"""Every rank reads the same shard of the data.

## What it is
Every rank reads the same shard of the data: the batch is smaller than it looks.

## How it shows
The losses of all ranks are equal in every step.

## What proves it
No trial can: a change to one program cannot hand other data to the other ranks.

## What refutes it
If the ranks' batches differ, so do their data. Against it speaks a run that comes back with:
learning rate x 1/10.

## The fix
Give the DataLoader a DistributedSampler(dataset, num_replicas=world_size, rank=rank) and call
sampler.set_epoch(epoch).

## Source
torch.utils.data.distributed.DistributedSampler.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={},
    proofs=(),
    refutations=("lr-tenth",),
    fix=(
        "Give the DataLoader a DistributedSampler(dataset, num_replicas=world_size, rank=rank) "
        "and call sampler.set_epoch(epoch)."
    ),
    unprovable="a change to one program cannot hand other data to the other ranks",
)
