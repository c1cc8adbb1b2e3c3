"""What lies still between two steps is looked at: memory that flipped is told from code that wrote.

A tensor that is not what it was is healed by going back and doing the steps again. What comes out
is right; if all of the tensor is another, it was code that wrote past torch, and its numbers
are put back once the steps are done again. Not where they are not finite, or ten times as large or
as small: no code does that to a run that is to go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from steadytrain.guard._measure import norms_of, numbers_of
from steadytrain.guard._moments import Moments
from steadytrain.guard._parts import Parts
from steadytrain.guard.detect_leap import GROWTH
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
                if step != self._return_to or is_wild(found, live):
                    continue
                if self._seal.judge(name, found, live) == "edit":
                    edits.append(name)
                    with torch.no_grad():
                        live.copy_(found)
            self._found, self._return_to = [], None
        self._seal.close(step)
        return edits


class Resting:
    """Everything that is looked at between two steps: the seal if it is wanted, a sample if not.

    Args:
        parts: of the loop.
        sealing: of everything, or None.
    """

    def __init__(self, parts: Parts, sealing: Sealing | None) -> None:
        self._sealing = sealing
        self._moments = Moments(parts)

    def look(self) -> list[str]:
        """The names of the tensors that changed since the last step, although nothing wrote there."""
        found = [] if self._sealing is None else self._sealing.look()
        return found or self._moments.look()

    def went_back(self, from_step: int) -> None:
        """The steps up to `from_step` are done again now."""
        if self._sealing is not None:
            self._sealing.went_back(from_step)

    def settle(self, step: int) -> list[str]:
        """What lies still from now on is known; returns what code had changed, and is as it was."""
        self._moments.close()
        return [] if self._sealing is None else self._sealing.settle(step)


@torch.no_grad()
def is_wild(found: Tensor, right: Tensor) -> bool:
    """Whether a tensor is too far from what it was to be somebody's edit."""
    pair = numbers_of(found), numbers_of(right)
    if pair[0] is None or pair[1] is None or not pair[0].numel():
        return False
    before, after = norms_of([pair[1]])[0], norms_of([pair[0]])[0]
    return not (before == 0.0 or before / GROWTH < after < before * GROWTH)
