"""The same batch comes again and again within one pass over the data.

## What it does
Compares up to 64 batches of one pass by the bytes of their tensors.

## Why it matters
A sampler that starts anew, a worker that is seeded like all others, or an index that is not used:
the model sees a fraction of the data and overfits it.

## Passes when
More than half of the batches are different ones. A data set of a single batch, or of two, passes.

## Fails when
At most half of four or more batches are different.

## What to do
Look at the sampler, at `worker_init_fn`, and at whether `__getitem__` uses its index.

## Source
PyTorch's documentation of data loading, "Randomness in multi-process data loading".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._data import data_of
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed

_FEWEST, _MOST = 4, 64
"""Batches that are compared: a longer list may hold several passes, each in an order of its own."""


@check(code="DAT254", causes=("duplicate-batches",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateBatches:
    """Options of the check."""

    max_duplicate_fraction: float = 0.5
    """Share of the batches that may repeat others."""
    min_joined: int = 8
    """Different batches from which on a list that goes round them in order is several passes."""

    def judge(self, scene: Scene, /) -> Answer:
        data = scene.once(data_of)
        total = min(_MOST, len(data.batches))
        if total < _FEWEST:
            return not_applicable(self, f"the pass has {total} batches")
        digests = [_digest(batch) for batch in data.batches[:_MOST]]
        different = len(set(digests))
        seen = f"{different} of {total} batches are different"
        joined = different >= self.min_joined and _goes_round(digests)
        if joined:
            seen = f"{different} batches, over and over in one order"
        if joined or different > (1 - self.max_duplicate_fraction) * total:
            return passed(self, seen, different)
        return failed(
            self,
            seen,
            different,
            findings=[
                finding(
                    self,
                    f"Only {different} of the first {total} batches of a pass are different. Look at "
                    "the sampler, the seeds of the workers, and whether the data set uses its index.",
                    evidence={"num_different": different, "num_batches": total},
                )
            ],
        )


def _goes_round(digests: list[bytes]) -> bool:
    """Whether nearly each batch is the one again that came a pass before it."""
    if digests[0] not in digests[1:]:
        return False
    period = digests.index(digests[0], 1)
    again = [one == other for one, other in zip(digests[period:], digests, strict=False)]
    return sum(again) >= 0.95 * len(again)


def _digest(batch: Sequence[Tensor]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for leaf in batch:
        values = leaf.detach().cpu().contiguous()
        digest.update(str(tuple(values.shape)).encode())
        digest.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return digest.digest()
