"""What is looked at when gradients are not finite, before the update destroys the evidence.

On a CPU the verdict is there when the gradients are; on a device it is not asked for, because
that would synchronise, and the rows that cross at the next flush tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import torch
from torch import Tensor

from steadytrain.probes.gradients import count_nonfinite, wide_norms
from steadytrain.watching.forward import WatchedForward
from steadytrain.watching.scaling import unscaled
from steadytrain.watching.sites import ParameterSites, is_measurable

MAX_STEPS: Final = 2
"""Steps in a row that are looked into; what follows them is known."""

ROUTINE_STEPS: Final = 4
"""Steps in a row that a loss scaler may find infinite before its search is not routine."""


class Alarm:
    """Counts non-finite elements and looks for the module they come from.

    Args:
        forward: the watched forward pass.
        sites: every parameter.
        record: `record(stat, value, sites)` into the current row.
        boundary: wraps the second look, which runs the user's own forward.
    """

    def __init__(
        self,
        forward: WatchedForward,
        sites: ParameterSites,
        record: Callable[..., None],
        boundary: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._boundary = boundary
        self._forward = forward
        self._sites = sites
        self._record = record
        self._steps = 0

    def check(
        self,
        norms: Tensor,
        grads: Sequence[Tensor],
        places: Sequence[int],
        *,
        inverse: Tensor | None,
        routine: bool,
    ) -> None:
        """Count in the step if a norm is not finite, and look where that comes from.

        Args:
            norms: of the gradients, as they are.
            grads: the gradients.
            places: their sites.
            inverse: what unscales the gradients, or None.
            routine: whether a loss scaler is at work, to which an overflow now and then belongs.
        """
        if norms.device.type != "cpu":
            return
        if bool(torch.isfinite(norms.sum())):
            self._steps = 0
            return
        self._steps += 1
        self._count(grads, places, inverse)
        first = ROUTINE_STEPS if routine else 1
        if first <= self._steps < first + MAX_STEPS:
            self._look()

    def look_late(self) -> None:
        """On a device, rows that came to the host were not finite: look at what is there now."""
        places = [i for i, p in enumerate(self._sites.params) if is_measurable(p)]
        params = [self._sites.params[place] for place in places]
        if not params or params[0].device.type == "cpu":
            return
        self._steps += 1
        if self._steps <= MAX_STEPS:
            held = [
                (g, i) for p, i in zip(params, places, strict=True) if (g := p.grad) is not None
            ]
            self._count([grad for grad, _ in held], [place for _, place in held], None)
            self._look()

    def _count(
        self, grads: Sequence[Tensor], places: Sequence[int], inverse: Tensor | None
    ) -> None:
        if not grads:
            return
        counts = count_nonfinite(grads)
        self._record("grad_num_nonfinite", counts, places)
        if not bool(counts.nansum()):  # finite but huge: the norm overflowed, not the elements
            self._record("grad_norm", unscaled(wide_norms(grads), inverse), places)

    def _look(self) -> None:
        """Everything that tells where the non-finite values come from is in the row."""
        at_rest = [(i, p) for i, p in enumerate(self._sites.params) if is_measurable(p)]
        resting = count_nonfinite([param.detach() for _, param in at_rest])
        self._record("param_num_nonfinite_at_rest", resting, [place for place, _ in at_rest])
        self._record("batch_num_nonfinite", self._forward.batch_num_nonfinite())
        self._look_at_modules()

    def _look_at_modules(self) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return  # a second forward on one rank alone could wait for the others for ever
        for stats, values, names in self._forward.detach():
            self._record(stats, values, names)
        with self._boundary("second look"):
            counts = self._forward.look_again()
            names = [count.name for count in counts]
            values = [[c.going_in, c.coming_out, c.largest_in, c.nan_out] for c in counts]
            if counts:
                stats = ("input_num_nonfinite", "act_num_nonfinite", "input_max", "act_num_nan")
                self._record(stats, torch.tensor(values, dtype=torch.float64), names)
