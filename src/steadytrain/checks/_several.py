"""As many of the first batches as time and memory allow, read once for all checks."""

from __future__ import annotations

import time
from typing import Any, Final

from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import tensors_in

MOST: Final = 256
"""Batches at most."""

BYTES: Final = 128 * 2**20
"""Memory that they may take together, two batches excepted."""

SECONDS: Final = 2.0
QUICK_SECONDS: Final = 0.5
"""Time after which no more are read, and the same for a quick look."""


def several(scene: Scene) -> list[Any]:
    """The first batches, the same objects for every check: to be read, not to be changed."""
    begin, seconds = time.perf_counter(), QUICK_SECONDS if scene.quick else SECONDS
    batches = scene.batches(1)
    size = sum(one.nbytes for one in tensors_in(batches[0]))
    most = min(MOST, max(2, BYTES // max(1, size)))
    count = 1
    while count == len(batches) < most and time.perf_counter() - begin < seconds:
        count = min(2 * count, most)
        batches = scene.batches(count)
    return batches
