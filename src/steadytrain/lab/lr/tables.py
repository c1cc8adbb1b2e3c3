"""The comparison as tables and charts."""

from __future__ import annotations

import numpy as np

from steadytrain.core.experiment import Chart, Series, Table
from steadytrain.lab.intervals import interval
from steadytrain.lab.lr.arms import BASELINE, arms, peer_is_installed
from steadytrain.lab.lr.curves import Curves, saved_share

NEAR = 0.05
"""Nats above a configuration's lowest loss that still count as near it."""


def tables(curves: Curves) -> tuple[Table, ...]:
    """Everything that was measured, most important first."""
    return (_outcomes(curves), _losses(curves), _by_seed(curves), _arms())


def charts(curves: Curves) -> tuple[Chart, ...]:
    """The pictures of the result, most important first."""
    return (_loss_chart(curves), _sensitivity_chart(curves))


def rate_name(rate: float) -> str:
    """A learning rate as a person would write it."""
    return f"{rate:.0e}".replace("e-0", "e-").replace("e+0", "e")


def _outcomes(curves: Curves) -> Table:
    base = curves.sensitivity(BASELINE), curves.regret(BASELINE)

    def row(name: str) -> tuple[str | float | int, ...]:
        sensitivity, regret = curves.sensitivity(name), curves.regret(name)
        return (
            name,
            interval(curves.best(name)).text,
            interval(sensitivity).text,
            f"{100 * np.mean(saved_share(sensitivity, base[0])):.0f}%",
            interval(regret).text,
            f"{100 * np.mean(saved_share(regret, base[1])):.0f}%",
            round(curves.decades_within(name, NEAR), 2),
            curves.num_diverged(name),
        )

    return Table(
        title="Sensitivity to the learning rate",
        columns=(
            "configuration",
            "best loss",
            "sensitivity",
            "lower than the baseline by",
            "common-best regret",
            "lower than the baseline by",
            f"decades within {NEAR:g} of its best",
            "diverged runs",
        ),
        rows=tuple(row(name) for name in curves.names),
        note="Validation loss of the final weights, in nats per character; mean ± half of the 95% "
        f"confidence interval (Student's t) over {_counted(len(curves.seeds))}. Sensitivity: mean "
        "over the rates minus the configuration's own best; regret: minus the best of all "
        f"configurations under the same seed.{_absent()}",
    )


def _counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _absent() -> str:
    if peer_is_installed():
        return ""
    return " x-transformers is not installed, so its presets were left out."


def _losses(curves: Curves) -> Table:
    rows = tuple(
        (name, *(interval(column).text for column in curves.losses[name].T.tolist()))
        for name in curves.names
    )
    return Table(
        title="Loss at each peak learning rate",
        columns=("configuration", *map(rate_name, curves.rates)),
        rows=rows,
        note="A diverged run counts as the loss at initialisation.",
    )


def _by_seed(curves: Curves) -> Table:
    rows = tuple(
        (name, *(f"{value:.3f} / {regret:.3f}" for value, regret in pairs))
        for name in curves.names
        for pairs in [zip(curves.sensitivity(name), curves.regret(name), strict=True)]
    )
    return Table(
        title="Sensitivity / regret by seed",
        columns=("configuration", *(f"seed {seed}" for seed in curves.seeds)),
        rows=rows,
        note="The recipe was chosen on Tiny Shakespeare under seed 0; the others were held out.",
    )


def _arms() -> Table:
    return Table(
        title="What the configurations are",
        columns=("configuration", "description"),
        rows=tuple((arm.name, arm.description) for arm in arms().values()),
    )


def _loss_chart(curves: Curves) -> Chart:
    return Chart(
        title="Final validation loss over the learning rate",
        x_label="peak learning rate",
        y_label="validation loss",
        series=tuple(_curve(curves, name) for name in curves.names),
        note="Mean over the seeds; the band is its 95% confidence interval. Flat is good, low too.",
    )


def _curve(curves: Curves, name: str) -> Series:
    bands = [interval(column) for column in curves.losses[name].T.tolist()]
    has_band = len(curves.seeds) > 1
    return Series(
        name=name,
        x=tuple(map(rate_name, curves.rates)),
        y=tuple(band.mean for band in bands),
        low=tuple(band.low for band in bands) if has_band else (),
        high=tuple(band.high for band in bands) if has_band else (),
    )


def _sensitivity_chart(curves: Curves) -> Chart:
    quantities = {"sensitivity": curves.sensitivity, "common-best regret": curves.regret}
    return Chart(
        title="How much the learning rate matters",
        x_label="configuration",
        y_label="nats",
        series=tuple(
            Series(
                name=name,
                x=curves.names,
                y=tuple(interval(quantity(arm)).mean for arm in curves.names),
            )
            for name, quantity in quantities.items()
        ),
        kind="bar",
    )
