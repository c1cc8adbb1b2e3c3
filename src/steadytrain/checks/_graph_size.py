"""How large the autograd graphs are that something still holds on to."""

from __future__ import annotations

import gc
from typing import Any, Final

from torch import Tensor

MAX_NODES: Final = 200_000
"""Nodes at which counting ends."""


def num_live_nodes() -> int:
    """Nodes of all graphs that a living tensor leads to, at most `MAX_NODES`.

    Memory that processes give back late, caches and the allocator's own do not count: only what a
    reference to a tensor keeps.
    """
    ends: list[Any] = [
        one.grad_fn
        for one in gc.get_objects()
        if issubclass(type(one), Tensor) and one.grad_fn is not None
    ]
    seen: set[Any] = set()
    while ends and len(seen) < MAX_NODES:
        node = ends.pop()
        if node not in seen:
            seen.add(node)
            ends.extend(above for above, _ in node.next_functions if above is not None)
    return len(seen)
