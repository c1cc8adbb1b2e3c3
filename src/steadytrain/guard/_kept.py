"""What the step under way may change, kept until it is decided upon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steadytrain.guard._parts import Parts
from steadytrain.guard._shadow import Gradients, Shadow
from steadytrain.snapshots import HostMemory, RandomSources, Snapshot, capture, restore


class Kept:
    """The state before one step: the shadow, or a copy of everything where that is wanted.

    Args:
        parts: of the loop.
        sources: the random sources a step draws from.
    """

    def __init__(self, parts: Parts, sources: RandomSources) -> None:
        self._parts = parts
        self._shadow = Shadow(parts.models, sources)
        self._memory = HostMemory()
        self._full: tuple[Snapshot, Mapping[str, Any]] | None = None
        self._gradients: Gradients | None = None

    def begin(self) -> None:
        """The gradients there are can be put back."""
        self._gradients = Gradients(self._parts.parameters())

    def keep_what_a_pass_changes(self) -> None:
        """So can buffers, attributes and the random sources."""
        self._shadow.take()

    def keep_everything(self, named: Mapping[str, Any]) -> None:
        """So can weights and moments: something will step before the step is judged."""
        self._full = (capture(named, memory=self._memory), named)

    def put_back(self, *, with_gradients: bool) -> None:
        """Everything is as it was; the gradients too, or there are none."""
        if self._full is not None:
            restore(*self._full)
        self._shadow.put_back()
        if self._gradients is None:
            return
        if with_gradients:
            self._gradients.put_back()
        else:
            self._gradients.clear()

    def release(self) -> None:
        """Nothing is kept any more."""
        if self._full is not None:
            self._memory.give_back(self._full[0].tensors)
        self._full = self._gradients = None
        self._shadow.forget()
