"""The experiment as tables and charts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from steadytrain.core.experiment import Cell, Chart, Series, Table
from steadytrain.lab.signal.findings import HIGH, LOW, RATIOS, Ratio, Starts
from steadytrain.lab.signal.one_start import Floats, StartRecord

SHOWN: Final = ("ReLU", "GELU", "tanh", "sigmoid")
"""Activations that are drawn; all of them are in the tables."""
LAYERS: Final = (1, 10, 20, 50)

Profile = Callable[[StartRecord], Floats]


def tables(starts: Starts, chosen: dict[str, str]) -> tuple[Table, ...]:
    """Both ends for signal and gradient, the profile over depth, and what `auto` chooses."""
    band = f"[{LOW:g}, {HIGH:g}]"
    return (
        _ends(starts, f"Signal: how many seeds keep its second moment within {band}", "signal"),
        _ends(starts, f"Gradient: how many seeds keep its second moment within {band}", "gradient"),
        _profile(starts),
        Table(
            title="What `initialize(model)` chooses for these networks",
            columns=("activation", "scheme"),
            rows=tuple(chosen.items()),
        ),
    )


def charts(starts: Starts) -> tuple[Chart, ...]:
    """Signal and gradient over depth, for the activations that differ most."""
    shown = [name for name in SHOWN if name in starts.activations]
    return tuple(
        chart
        for activation in shown
        for chart in (
            _over_depth(starts, activation, "signal", lambda r: r.signal / r.signal[0]),
            _over_depth(starts, activation, "gradient", lambda r: r.gradient / r.gradient[-1]),
        )
    )


def _ends(starts: Starts, title: str, name: str) -> Table:
    ratio: Ratio = RATIOS[name]
    ends = "last layer / first layer" if name == "signal" else "first layer / last layer"

    def cell(activation: str, way: str) -> Cell:
        count = starts.num_within(activation, way, ratio)
        return f"{count} of {starts.num_seeds}: {starts.span(activation, way, ratio)}"

    return Table(
        title=title,
        columns=("activation", *starts.ways),
        rows=tuple((a, *(cell(a, way) for way in starts.ways)) for a in starts.activations),
        note=f"Smallest to largest {ends} over the seeds. nan: nothing was left to compare with.",
    )


def _profile(starts: Starts) -> Table:
    depth = len(next(iter(starts.records.values()))[0].signal)
    layers = sorted({min(layer, depth) for layer in LAYERS})

    def std(activation: str, way: str, layer: int) -> Cell:
        moments = [record.signal[layer - 1] for record in starts.records[activation, way]]
        return float(f"{math.sqrt(float(np.median(moments))):.3g}")

    return Table(
        title="Root mean square behind the activation of layer ...",
        columns=("activation", "initialisation", *map(str, layers)),
        rows=tuple(
            (a, way, *(std(a, way, layer) for layer in layers)) for a, way in starts.records
        ),
        note="Median over the seeds; the input is 1.",
    )


def _over_depth(starts: Starts, activation: str, name: str, profile: Profile) -> Chart:
    series = (
        _line(way, [profile(record) for record in starts.records[activation, way]])
        for way in starts.ways
    )
    end = "first" if name == "signal" else "last"
    return Chart(
        title=f"{activation}: {name} over depth",
        x_label="layer",
        y_label=f"second moment, {end} layer = 1",
        series=tuple(series),
        log_y=True,
        note="Median over the seeds; the band goes from the smallest to the largest. A line ends "
        "where single precision has nothing left.",
    )


def _line(name: str, profiles: Sequence[Floats]) -> Series:
    values = np.stack(profiles)
    return Series(
        name=name,
        x=tuple(float(layer) for layer in range(1, values.shape[1] + 1)),
        y=_positive(np.median(values, axis=0)),
        low=_positive(values.min(axis=0)),
        high=_positive(values.max(axis=0)),
    )


def _positive(values: Floats) -> tuple[float | None, ...]:
    """The values that a logarithmic axis can show."""
    return tuple(float(v) if 0 < v < math.inf else None for v in values)
