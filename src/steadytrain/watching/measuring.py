"""What one optimizer step measures, into the current row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from steadytrain.probes.staleness import Sentinel, choose
from steadytrain.watching.alarm import Alarm
from steadytrain.watching.optimizers import WatchedOptimizer, gradient_entries
from steadytrain.watching.scaling import Scaling, unscaled
from steadytrain.watching.sites import ParameterSites, is_measurable


class Measuring:
    """Measures gradients, rates, updates and the arrival of gradients.

    Args:
        sites: every parameter.
        optimizers: what is measured around, by owner.
        scaling: what a loss scaler did to the gradients.
        record: `record(stat, value, sites)` into the current row.
    """

    def __init__(
        self,
        sites: ParameterSites,
        optimizers: Sequence[WatchedOptimizer],
        scaling: Scaling,
        record: Callable[..., None],
    ) -> None:
        self._sites = sites
        self._optimizers = optimizers
        self._scaling = scaling
        self._record = record
        self._in_optimizer: dict[int, bool] = {}
        self._arrived = 0
        self.is_blind = True
        """Whether no gradient was seen to arrive before the last step."""
        self.sentinels = [[Sentinel(p) for p in choose(w.held())] for w in optimizers]

    def gradients(
        self,
        params: list[Tensor],
        grads: list[Tensor],
        norms: Tensor | None,
        owner: int,
        alarm: Alarm,
        *,
        deep: bool,
    ) -> None:
        """The gradients' statistics are in the row, unscaled; a non-finite one is looked into.

        Args:
            params: parameters that hold a gradient.
            grads: their gradients.
            norms: the gradients' L2 norms where the clip has computed them.
            owner: the optimizer whose scale they have.
            alarm: looks into non-finite ones.
            deep: also what costs passes of its own.
        """
        places = self._sites.places(params)
        if norms is None or -1 in places:
            able = [
                (param, grad, place)
                for param, grad, place in zip(params, grads, places, strict=True)
                if is_measurable(param) and place >= 0
            ]
            grads = [grad for _, grad, _ in able]
            places = [place for _, _, place in able]
            norms = None
        if not grads:
            return
        inverse = None
        if self._optimizers:
            inverse = self._scaling.inverse(self._optimizers[owner].optimizer)
        for stat, value in gradient_entries(grads, norms, deep=deep):
            scaled = stat in ("grad_norm", "grad_max")
            self._record(stat, unscaled(value, inverse) if scaled else value, places)
            if stat == "grad_norm":
                routine = self._scaling.known
                alarm.check(value, grads, places, inverse=inverse, routine=routine)

    def rates(self, owner: int, *, deep: bool = False) -> None:
        """The learning rate of each of the optimizer's groups is in the row."""
        rates = self._optimizers[owner].learning_rates()
        prefix = f"optimizer{owner}." if len(self._optimizers) > 1 else ""
        for group, rate in enumerate(rates):
            self._record("learning_rate", rate, [f"{prefix}group{group}"])
        if deep:
            for group, value in enumerate(self._optimizers[owner].momenta()):
                self._record("momentum", value, [f"{prefix}group{group}"])
            for group, rate in enumerate(self._optimizers[owner].base_rates()):
                if rate is not None:
                    self._record("base_learning_rate", rate, [f"{prefix}group{group}"])

    def updates(self, owner: int, *, deep: bool) -> None:
        """Parameter norms and update norms of the optimizer's step are in the row."""
        for stat, value, sites in self._optimizers[owner].moved(deep=deep):
            self._record(stat, value, sites)

    @property
    def has_backward(self) -> bool:
        """Whether a gradient arrived since any optimizer's last step."""
        return self._count() != self._arrived

    def _count(self) -> int:
        return sum(sentinel.arrivals for owned in self.sentinels for sentinel in owned)

    def arrivals(self, owner: int, *, has_closure: bool = False) -> None:
        """How often gradients arrived since the last step, and whether old ones were cleared."""
        self.is_blind = not self.has_backward
        cleared = [share for s in self.sentinels[owner] if (share := s.take_cleared()) is not None]
        if cleared and not has_closure:
            self._record("cleared_fraction", sum(cleared) / len(cleared))
        taken = [sentinel.take() for sentinel in self.sentinels[owner]]
        self._arrived = self._count()
        if taken:
            self._record("num_microbatches", float(max(arrivals for arrivals, _ in taken)))
        stale = [flag for _, flag in taken if flag is not None]
        if stale:
            self._record("stale_grad_fraction", _mean(stale))

    def waiting(self, owner: int) -> None:
        """How long another optimizer than `owner` has been reached and not stepped is in the row."""
        others = [
            sentinel.arrivals
            for other, owned in enumerate(self.sentinels)
            for sentinel in owned
            if other != owner
        ]
        if others:
            self._record("waiting_backwards", float(max(others)))

    def held(self) -> None:
        """Which parameters an optimizer holds is in the row, if that changed."""
        held = self._sites.held()
        if self._optimizers and held != self._in_optimizer:
            self._in_optimizer = held
            flags = torch.tensor([float(flag) for flag in held.values()])
            self._record("in_optimizer", flags, list(held))


def _mean(flags: Sequence[Tensor | float]) -> Tensor | float:
    """The mean of numbers some of which are on a device, without waiting for it."""
    known = sum(flag for flag in flags if isinstance(flag, float))
    unknown = [flag for flag in flags if isinstance(flag, Tensor)]
    if not unknown:
        return known / len(flags)
    device = unknown[0].device
    return (torch.stack([flag.to(device) for flag in unknown]).sum() + known) / len(flags)
