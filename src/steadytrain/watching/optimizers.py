"""What is measured around one optimizer's step: its gradients, parameters and updates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from steadytrain.probes import moments, updates
from steadytrain.probes.gradients import element_statistics, measured_norms
from steadytrain.watching.sites import ParameterSites, held_ids, is_measurable

_ROW_LOOKS = (1, 4, 7, 13)
"""Sampled steps, counted from 1, on which rows of matrices are compared with each other."""

Measured = tuple[str, Tensor | float, list[int]]


class WatchedOptimizer:
    """One optimizer's parameters and their samples, rebuilt when they move or change.

    Args:
        optimizer: the user's.
        sites: where its parameters stand in the history.
    """

    def __init__(self, optimizer: Any, sites: ParameterSites) -> None:
        self.optimizer = optimizer
        self._sites = sites
        self._samples: list[updates.Sample] = []
        self._signature: list[int] = []
        self._remembered = False
        self._num_deep = 0
        self._decays: dict[tuple[int, ...], list[tuple[float, float]]] = {}
        self.params: list[Tensor] = []

    def held(self) -> list[Tensor]:
        """Every parameter the optimizer holds, once."""
        held = [param for group in self.optimizer.param_groups for param in group["params"]]
        return list({id(param): param for param in held}.values())

    def refresh(self) -> None:
        """The samples look at the parameters the optimizer holds now, where they are now."""
        signature = held_ids(self.optimizer)
        if signature == self._signature and all(map(updates.is_current, self._samples)):
            return
        self._sites.refresh()
        self.params = [param for param in self.held() if is_measurable(param)]
        cap = updates.per_tensor_cap([updates.num_real(param) for param in self.params])
        by_device: dict[torch.device, list[Tensor]] = {}
        for param in self.params:
            by_device.setdefault(param.device, []).append(param)
        index = self._sites.index
        self._samples = [
            updates.make_sample(params, [index[id(param)] for param in params], cap)
            for params in by_device.values()
        ]
        self._signature = [] if any(map(is_lazy, self.held())) else signature

    def remember(self) -> None:
        """The update will be measured from the parameters as they are now."""
        self.refresh()
        for sample in self._samples:
            updates.remember(sample)
        self._remembered = True

    def moved(self, *, deep: bool) -> Iterator[Measured]:
        """Parameter norms and update norms since `remember`.

        Args:
            deep: also lost updates, and parameter norms by reading every element.
        """
        if not self._remembered or not all(map(updates.is_current, self._samples)):
            return
        self._remembered = False
        self._num_deep += deep
        for sample in self._samples:
            sites = list(sample.sites)
            if deep and any(p.dtype.itemsize < 4 for p in sample.params):
                yield "lost_update_fraction", updates.lost_fraction(sample), sites
            param_norm, update_norm = updates.measure(sample, exactly=deep)
            yield "param_norm", param_norm, sites
            yield "update_norm", update_norm, sites
            if deep:
                yield from self._told(sample)

    def _told(self, sample: updates.Sample) -> Iterator[Measured]:
        """What the optimizer remembers, and what it was told where that is new."""
        sites = list(sample.sites)
        yield from moments.second_moments(self.optimizer, sample.params, sites)
        groups = {id(p): group for group in self.optimizer.param_groups for p in group["params"]}
        own = [groups.get(id(param), {}) for param in sample.params]
        decays = [moments.decay_of(self.optimizer, group) for group in own]
        if decays != self._decays.get(sample.sites):
            self._decays[sample.sites] = decays
            for place, stat in enumerate(("coupled_decay", "decoupled_decay")):
                yield stat, torch.tensor([decay[place] for decay in decays]), sites
        if self._num_deep in _ROW_LOOKS:
            rows = moments.equal_rows(sample.params, sites)
            if rows is not None:
                yield rows

    def momenta(self) -> list[float]:
        """The momentum of every group."""
        return [moments.momentum_of(group) for group in self.optimizer.param_groups]

    def base_rates(self) -> list[float | None]:
        """The rate of every group that a schedule multiplies, None where none has said so."""
        rates = [group.get("initial_lr") for group in self.optimizer.param_groups]
        return [float(rate) if isinstance(rate, int | float) else None for rate in rates]

    def learning_rates(self) -> list[float | Tensor]:
        """The rate of every group: a tensor where the optimizer keeps one."""
        rates = [group.get("lr", float("nan")) for group in self.optimizer.param_groups]
        return [
            rate.detach().clone() if isinstance(rate, Tensor) else float(rate) for rate in rates
        ]


def gradient_entries(
    grads: list[Tensor], norms: Tensor | None, *, deep: bool
) -> Iterator[tuple[str, Tensor]]:
    """The statistics of gradients as they are: [len(grads)] each.

    Args:
        grads: measurable gradients.
        norms: their L2 norms, where a pass has computed them already.
        deep: also the largest magnitude and the zeros, which cost two more passes.
    """
    yield "grad_norm", measured_norms(grads) if norms is None else norms
    if deep:
        largest, zeros = element_statistics(grads)
        yield "grad_max", largest
        yield "grad_zero_fraction", zeros
