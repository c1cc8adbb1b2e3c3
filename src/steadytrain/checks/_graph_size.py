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
    kinds: dict[type, bool] = {}
    ends: list[Any] = []
    for one in gc.get_objects():
        kind = type(one)
        if kind not in kinds:  # a million objects are of a few hundred types
            kinds[kind] = issubclass(kind, Tensor)
        if kinds[kind] and one.grad_fn is not None:
            ends.append(one.grad_fn)
    seen: set[Any] = set()
    while ends and len(seen) < MAX_NODES:
        node = ends.pop()
        if node not in seen:
            seen.add(node)
            ends.extend(above for above, _ in node.next_functions if above is not None)
    return len(seen)
