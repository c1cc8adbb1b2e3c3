"""What lies still between two steps is looked at: memory that flipped is told from code that wrote.

A tensor that is not what it was is healed by going back and doing the steps again. What comes out
is right; if all of the tensor is another, it was code that wrote past torch, and its numbers
are put back once the steps are done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from steadytrain.snapshots import Seal


class Sealing:
    """The seal of one attachment, and the tensors it found broken.

    Args:
        parts: everything a rollback restores, by name.
        every: steps between two seals.
    """

    def __init__(self, parts: Mapping[str, Any], every: int) -> None:
        self._seal = Seal(parts, every=every)
        self._found: list[tuple[str, Tensor, Tensor]] = []
        self._return_to: int | None = None

    def look(self) -> list[str]:
        """The names of the tensors that changed since the last step, although nothing wrote there."""
        if not self._seal.is_closed:
            return []
        broken = self._seal.broken()
        if broken:
            self._found = [(one.name, one.tensor, one.tensor.detach().clone()) for one in broken]
            self._return_to = None
        self._seal.open()
        return [one.name for one in broken]

    def went_back(self, from_step: int) -> None:
        """The steps up to `from_step` are done again now."""
        self._return_to = from_step if self._found else None

    def settle(self, step: int) -> list[str]:
        """The state after `step` is sealed; returns what code had changed, which is as it left it."""
        edits: list[str] = []
        if self._return_to is not None and step >= self._return_to:
            for name, live, found in self._found:
                if step == self._return_to and self._seal.judge(name, found, live) == "edit":
                    edits.append(name)
                    with torch.no_grad():
                        live.copy_(found)
            self._found, self._return_to = [], None
        self._seal.close(step)
        return edits
