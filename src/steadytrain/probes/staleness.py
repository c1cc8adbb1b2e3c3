"""Whether gradients were cleared between two steps, and how many backward passes a step had.

A few parameters are watched by tensor hooks, which run when a gradient arrives and before it is
added to `.grad`: they see what is there already. A gradient that was found neither absent nor
zero at any arrival since the optimizer's last step is stale: `zero_grad` is missing. Clearing it
anywhere (before the backward, after the step, in between for one of several losses) counts.

Cost: one pass over at most eight parameters' gradients. No synchronisation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from steadytrain.probes.gradients import dense_values

MAX_SENTINELS: Final = 8


class Sentinel:
    """One watched parameter."""

    def __init__(self, param: Tensor) -> None:
        self.param = param
        self.arrivals = 0
        self._after_step = False
        self._stale: Tensor | float | None = None
        self._cleared = 0

    def arrive(self) -> None:
        """A gradient arrives: note whether an old one is still there."""
        self.arrivals += 1
        if self.arrivals > 1 and self.param.grad is None:
            self._cleared += 1
        if not self._after_step:
            return
        held = self.param.grad
        values = None if held is None else dense_values(held)
        if values is None:
            self._stale = 0.0  # and no later arrival of the step makes it stale again
        elif not isinstance(self._stale, float):
            with torch.no_grad():
                still = torch.count_nonzero(values).clamp(max=1).float()
                seen = self._stale
                self._stale = torch.minimum(seen, still) if isinstance(seen, Tensor) else still

    def take_cleared(self) -> float | None:
        """The share of arrivals after the first that found no gradient; None with one only.

        Call it before `take`.
        """
        cleared, self._cleared = self._cleared, 0
        return cleared / (self.arrivals - 1) if self.arrivals > 1 else None

    def take(self) -> tuple[int, Tensor | float | None]:
        """Arrivals since the last step, and whether the gradient was never cleared (None: unknown)."""
        taken = self.arrivals, self._stale
        self.arrivals, self._stale, self._after_step = 0, None, True
        return taken


def choose(params: Sequence[Tensor]) -> list[Tensor]:
    """At most `MAX_SENTINELS` parameters that require a gradient, spread over the model.

    Small ones near the even places are preferred: they cost less to look at.
    """
    able = [p for p in params if p.requires_grad and p.is_leaf and not is_lazy(p)]
    if len(able) <= MAX_SENTINELS:
        return able
    edges = [round(i * len(able) / MAX_SENTINELS) for i in range(MAX_SENTINELS + 1)]
    blocks = [able[low:high] for low, high in itertools.pairwise(edges)]
    return [min(block, key=Tensor.numel) for block in blocks]
