"""Batch norm takes its statistics from too few values.

## What it does
Counts the values per channel that each batch norm in training mode sees of the first batch, and
looks for batches of one sample: among the first ones, and at the end of a DataLoader.

## Why it matters
Of two values one is always above the mean and one below: every unit says which of the two it is,
and not what it saw. A single value has no variance at all, and PyTorch raises.

## Passes when
Every batch norm sees more than four values per channel, from three samples or more.

## Fails when
One sees four or fewer, or those of one or two samples; or a batch of one sample will reach a batch norm without positions. Under
DistributedDataParallel the count is that of one process, unless the norm is a SyncBatchNorm.

## What to do
Larger batches, `drop_last=True`; a norm that looks at one sample (group norm, layer norm);
`nn.SyncBatchNorm.convert_sync_batchnorm` over processes.

## Source
Wu & He 2018 (Group normalization), figure 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from steadytrain.checks._batches import num_samples
from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.checks._several import several
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="INI253", causes=("batchnorm-small-batch",), stage="architecture")
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchnormSamples:
    """Options of the check."""

    min_values: int = 5
    """Values per channel that a norm needs."""
    min_samples: int = 3
    """Samples that they must come from: neighbouring positions are much alike."""

    def judge(self, scene: Scene, /) -> Answer:
        norms = {
            path: module
            for path, module in scene.model.named_modules()
            if isinstance(module, _BatchNorm) and module.training
        }
        counts = _counts(scene, norms)
        if not counts:
            return not_applicable(self, "no batch norm in training mode ran")
        least = min(counts.values())
        seen = f"at least {least} values per channel"
        few = [path for path, count in counts.items() if count < self.min_values]
        size = num_samples(scene.batch())
        if not few and size is not None and size < self.min_samples:
            what = f"{listed(list(counts))} take their statistics from {size} samples"
            return self._failed(f"{seen}, of {size} samples", what, size, next(iter(counts)))
        if few:
            what = f"{listed(few)} take their statistics from {least} values per channel"
            return self._failed(seen, what, least, few[0])
        alone = [path for path in counts if isinstance(norms[path], nn.BatchNorm1d)]
        if alone and _has_single_sample(scene):
            what = f"a batch of one sample will reach {alone[0]}, which has no variance"
            return self._failed("a batch has one sample", what, 1, alone[0])
        return passed(self, seen, least)

    def _failed(self, seen: str, what: str, least: int, site: str) -> Answer:
        return failed(
            self,
            seen,
            least,
            findings=[
                finding(
                    self,
                    f"{what[0].upper()}{what[1:]}, expected more. Use larger "
                    "batches, drop_last=True, or a norm over one sample such as nn.GroupNorm.",
                    site=site,
                    evidence={"values_per_channel": least},
                )
            ],
        )


def _counts(scene: Scene, norms: dict[str, Any]) -> dict[str, int]:
    """Values per channel in the first batch, the least of all calls."""
    counts: dict[str, int] = {}
    for seen in scene.first.modules:
        if seen.path in norms and seen.inputs and seen.training:
            shape = seen.inputs[0].shape
            values = math.prod(shape) // max(1, norms[seen.path].num_features)
            counts[seen.path] = min(values, counts.get(seen.path, values))
    return counts


def _has_single_sample(scene: Scene) -> bool:
    if any(num_samples(batch) == 1 for batch in scene.once(several)):
        return True
    loader: Any = scene.program.batches
    size, drops = getattr(loader, "batch_size", None), getattr(loader, "drop_last", True)
    if not isinstance(size, int) or drops or size < 2:
        return False
    try:
        return len(loader.dataset) % size == 1
    except (AttributeError, TypeError):  # a stream has no length
        return False
