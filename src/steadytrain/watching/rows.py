"""Measurements on their way from the device to the history: one transfer per flush.

What a step measures is kept as small tensors where it was computed. A flush joins them into one
block per device, copies that to the host once, and derives what needs no further look at the
tensors: per-element sizes, ratios, the clip's coefficient, where a norm was not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steadytrain.core.stats import STATS, SiteKind

Floats = NDArray[np.float64]
Key = tuple[int, str]
Places = Callable[[SiteKind, Sequence[str]], NDArray[np.int64]]

_ORDER: Final = {name: place for place, name in enumerate(STATS)}
_COUNTERS: Final = {"grad_norm": "grad_num_nonfinite", "param_norm": "param_num_nonfinite"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One measurement: a number, a vector over parameter places or names, or several at once.

    With several statistics the value is [sites, statistics].
    """

    step: int
    stat: str | tuple[str, ...]
    value: Tensor | float
    sites: Sequence[int] | Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One statistic of some steps on the host: [steps, sites]."""

    stat: str
    steps: NDArray[np.int64]
    values: Floats


class Transfer:
    """Entries on their way to the host: one copy per device and width, started here.

    From a CUDA device the copy runs beside the training; `is_here` asks without waiting.

    Args:
        entries: what is to be delivered, in the order it was measured.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._blocks: list[tuple[Tensor, list[tuple[int, int]]]] = []
        self._events: list[torch.cuda.Event] = []
        groups: dict[tuple[torch.device, bool], list[tuple[int, Tensor]]] = {}
        for place, entry in enumerate(entries):
            if isinstance(entry.value, Tensor):
                flat = entry.value.detach().reshape(-1)
                wide = flat.dtype is torch.float64
                flat = flat if wide else flat.float()
                groups.setdefault((flat.device, wide), []).append((place, flat))
        for parts in groups.values():
            block = torch.cat([flat for _, flat in parts])
            self._blocks.append((self._send(block), [(place, f.numel()) for place, f in parts]))

    def _send(self, block: Tensor) -> Tensor:
        if block.device.type != "cuda":
            return block.cpu()
        host = torch.empty(block.shape, dtype=block.dtype, pin_memory=True)
        host.copy_(block, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._events.append(event)
        return host

    @property
    def is_here(self) -> bool:
        """Whether the values have arrived."""
        return all(event.query() for event in self._events)

    def values(self) -> list[Floats]:
        """The entries' values as float64 vectors, waiting for those that have not arrived."""
        for event in self._events:
            event.synchronize()
        rows: dict[int, Floats] = {}
        for host, parts in self._blocks:
            block, start = host.numpy().astype(np.float64), 0
            for place, size in parts:
                rows[place] = block[start : start + size]
                start += size
        for place, entry in enumerate(self.entries):
            if not isinstance(entry.value, Tensor):
                rows[place] = np.array([entry.value], dtype=np.float64)
        return [rows[place] for place in range(len(self.entries))]


class Table:
    """The entries of a flush by step and statistic, completed by what follows from them.

    Args:
        transfer: the entries; a later one fills or replaces an earlier one.
        sizes: elements of every parameter site.
        places: `places(kind, names)`: the columns of named sites, which exist from then on;
            all columns of the kind where no name is given.
    """

    def __init__(self, transfer: Transfer, sizes: Floats, places: Places) -> None:
        self._sizes = sizes
        self._places = places
        self._scalars: dict[Key, list[float]] = {}
        self._params: dict[Key, Floats] = {}
        self._named: dict[Key, list[tuple[NDArray[np.int64], Floats]]] = {}
        self._factors: dict[int, Floats] = {}
        for entry, values in zip(transfer.entries, transfer.values(), strict=True):
            if isinstance(entry.stat, tuple):
                for stat, column in zip(entry.stat, _columns(values, entry.stat), strict=True):
                    self._place(stat, entry, column)
            else:
                self._place(entry.stat, entry, values)
        self._derive_losses()
        self._derive_params()
        self._derive_clip()

    @property
    def bad_steps(self) -> set[int]:
        """Steps with a gradient that held something non-finite, or whose norm overflowed."""
        return {
            step
            for (step, stat), values in self._params.items()
            if stat == "grad_num_nonfinite" and not np.nansum(values) <= 0
        }

    def blocks(self) -> Iterator[Block]:
        """Every statistic with its rows, in the order of the vocabulary; empty rows are left out."""
        by_stat: dict[str, list[int]] = {}
        for step, stat in sorted((*self._scalars, *self._params, *self._named)):
            by_stat.setdefault(stat, []).append(step)
        for stat in sorted(by_stat, key=_ORDER.__getitem__):
            steps = np.array(by_stat[stat], dtype=np.int64)
            values = np.stack([self._row(step, stat) for step in by_stat[stat]])
            measured = ~np.isnan(values).all(axis=1)
            if measured.any():
                yield Block(stat, steps[measured], values[measured])

    def _row(self, step: int, stat: str) -> Floats:
        if (step, stat) in self._params:
            return self._params[step, stat]
        if (step, stat) in self._scalars:
            return np.array(self._scalars[step, stat][-1:])
        row = np.full(len(self._places(STATS[stat].kind, ())), np.nan)
        for places, values in self._named[step, stat]:
            row[places] = values
        return row

    def _place(self, stat: str, entry: Entry, values: Floats) -> None:
        key = entry.step, stat
        kind = STATS[stat].kind
        if stat == "clip_coefficient":
            factors = self._factors.setdefault(entry.step, np.full(len(self._sizes), np.nan))
            factors[_columns_of(entry.sites)] = values[0]
        elif kind == "run":
            self._scalars.setdefault(key, []).append(float(values[0]))
        elif kind == "parameter":
            self._fill(key, values, entry.sites)
        else:
            names = [str(name) for name in entry.sites or range(len(values))]
            places = self._places(kind, names)
            self._named.setdefault(key, []).append((places, values))

    def _fill(self, key: Key, values: Floats, sites: Sequence[int] | Sequence[str] | None) -> None:
        places = _columns_of(sites)
        row = self._params.setdefault(key, np.full(len(self._sizes), np.nan))
        row[places] = values
        if key[1] in _COUNTERS and not np.isfinite(values).all():
            counter = self._params.setdefault(
                (key[0], _COUNTERS[key[1]]), np.full(len(self._sizes), np.nan)
            )
            counter[places] = np.where(np.isfinite(values), 0.0, 1.0)

    def _derive_losses(self) -> None:
        for step in [step for step, stat in self._scalars if stat == "loss"]:
            values = np.array(self._scalars.pop((step, "loss")))
            finite = values[np.isfinite(values)]
            self._scalars[step, "num_losses"] = [float(len(values))]
            self._scalars[step, "loss_num_nonfinite"] = [float(len(values) - len(finite))]
            self._scalars[step, "loss_num_nan"] = [float(np.isnan(values).sum())]
            if len(finite):
                self._scalars[step, "loss"] = [float(finite.mean())]

    def _derive_clip(self) -> None:
        """The smallest factor of the step's clips, and what they left of the gradients."""
        for step, factors in self._factors.items():
            if np.isnan(factors).all():
                continue
            self._scalars[step, "clip_coefficient"] = [float(np.nanmin(factors))]
            norms = self._params.get((step, "grad_norm"))
            if norms is not None and (step, "grad_norm_total") in self._scalars:
                left = norms * np.where(np.isnan(factors), 1.0, factors)
                self._scalars[step, "grad_norm_clipped"] = [float(np.sqrt(np.nansum(left**2)))]

    def _derive_params(self) -> None:
        for step, stat in list(self._params):
            if stat == "grad_norm":
                norms = self._params[step, stat]
                self._params[step, "grad_rms"] = norms / np.sqrt(np.maximum(self._sizes, 1.0))
                self._derive_total(step, norms)
            if stat == "update_norm":
                self._params[step, "update_ratio"] = self._ratio(step)

    def _derive_total(self, step: int, norms: Floats) -> None:
        """The norm of all gradients together; not measured where one of them is not finite."""
        counts = self._params.get((step, "grad_num_nonfinite"))
        measured = norms[~np.isnan(norms)]
        if len(measured) and (counts is None or not np.nansum(counts) > 0):
            self._scalars[step, "grad_norm_total"] = [float(np.sqrt(np.square(measured).sum()))]

    def _ratio(self, step: int) -> Floats:
        updates = self._params[step, "update_norm"]
        weights = self._params.get((step, "param_norm"), np.full_like(updates, np.nan))
        usable = (weights > 0) & np.isfinite(weights) & np.isfinite(updates)
        ratio = np.full_like(updates, np.nan)
        np.divide(updates, weights, out=ratio, where=usable)
        return ratio


def _columns_of(sites: Sequence[int] | Sequence[str] | None) -> slice | NDArray[np.int64]:
    return slice(None) if sites is None else np.asarray(sites, dtype=np.int64)


def _columns(values: Floats, stats: tuple[str, ...]) -> Floats:
    """The values of an entry of several statistics, by statistic: [statistics, sites]."""
    return values.reshape(-1, len(stats)).T
