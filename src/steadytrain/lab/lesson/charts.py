"""The comparison as charts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from steadytrain.core.experiment import Chart, Series
from steadytrain.lab.intervals import interval
from steadytrain.lab.lesson.lesson_says import TABLE
from steadytrain.lab.lesson.one_run import Floats, RunRecord, named_steps
from steadytrain.lab.lesson.recipes import RECIPES, WARMUP_FRACTION
from steadytrain.lab.lesson.results import CORRECTED, Results, first_epoch_loss
from steadytrain.lab.lesson.tables import factor_name, finite

NUM_POINTS = 90
"""Points of a curve: each is the mean over as many neighbouring steps as it takes."""


def charts(results: Results) -> tuple[Chart, ...]:
    """The pictures of the result, most important first."""
    return (
        _losses(results),
        _break_test(results),
        _before_and_after(results),
        _norms(results),
        _first_rates(results),
        _claimed(results),
        *_layers(results),
    )


def _losses(results: Results) -> Chart:
    return Chart(
        title="Training loss",
        x_label="step",
        y_label="loss",
        series=tuple(
            _curve(name, results.main[name], lambda record: record.losses) for name in RECIPES
        ),
        log_y=True,
        note="Geometric mean over the seeds; the band is its 95% confidence interval.",
    )


def _norms(results: Results) -> Chart:
    return Chart(
        title="Total gradient norm before clipping",
        x_label="step",
        y_label="gradient norm",
        series=tuple(
            _curve(name, results.main[name], lambda record: record.grad_norms) for name in RECIPES
        ),
        log_y=True,
        note="Geometric mean over the seeds; the band is its 95% confidence interval.",
    )


def _before_and_after(results: Results) -> Chart:
    record = results.main["all tricks, as written"][0]
    steps = tuple(float(step) for step in _thinned(len(record.losses)))
    vectors = {
        "before clipping": record.grad_norms,
        "after clipping: what the lesson logs": record.grad_norms_clipped,
    }
    return Chart(
        title="The same gradients, measured before and after clipping",
        x_label="step",
        y_label="gradient norm",
        series=tuple(
            Series(name=name, x=steps, y=_cells(norms[_thinned(len(norms))]))
            for name, norms in vectors.items()
        ),
        log_y=True,
        note="All tricks, as written, one seed. The flat line at 1 is the clip's threshold, not "
        "the network's stability.",
    )


def _first_rates(results: Results) -> Chart:
    names = {"all tricks": "corrected", "all tricks, as written": "as written"}
    record = results.main["all tricks"][0]
    count = min(len(record.rates), max(10, round(2 * WARMUP_FRACTION * record.num_steps)))
    return Chart(
        title="Learning rate of the first updates",
        x_label="step",
        y_label="learning rate",
        series=tuple(
            Series(
                name=shown,
                x=tuple(float(step) for step in range(min(count, len(rates)))),
                y=_cells(rates[:count]),
            )
            for name, shown in names.items()
            for rates in [results.main[name][0].rates]
        ),
        note="As written, the first update runs at the full peak: the warm-up is missing exactly "
        "where it is meant to protect.",
    )


def _break_test(results: Results) -> Chart:
    def worst(recipe: str, factor: float) -> float | None:
        records = results.breaking[recipe, factor]
        if not all(record.is_complete for record in records):
            return None
        return finite(max(record.final_loss for record in records))

    return Chart(
        title="Break test: final loss of the worst seed",
        x_label="factor on the learning rate",
        y_label="final loss",
        series=tuple(
            Series(
                name=recipe,
                x=tuple(map(factor_name, results.factors)),
                y=tuple(worst(recipe, factor) for factor in results.factors),
            )
            for recipe in RECIPES
        ),
        log_y=True,
        note="A point is missing where a seed's loss became non-finite.",
    )


def _claimed(results: Results) -> Chart:
    measured = [results.mean(name, first_epoch_loss) for name in CORRECTED]
    return Chart(
        title="First-epoch loss: the lesson's table and ours",
        x_label="configuration",
        y_label="loss",
        series=(
            Series(name="lesson", x=CORRECTED, y=tuple(TABLE[name][0] for name in CORRECTED)),
            Series(
                name="measured",
                x=CORRECTED,
                y=tuple(None if mean is None else finite(mean.mean) for mean in measured),
                low=tuple(None if mean is None else finite(mean.low) for mean in measured),
                high=tuple(None if mean is None else finite(mean.high) for mean in measured),
            ),
        ),
        kind="bar",
    )


def _layers(results: Results) -> list[Chart]:
    """One set of bars per named step."""
    num_steps = results.main["no tricks"][0].num_steps
    return [
        Chart(
            title=f"Gradient norm of each layer's weight at step {step}",
            x_label="layer",
            y_label="gradient norm before clipping",
            series=tuple(_bars(recipe, results.main[recipe], step) for recipe in RECIPES),
            kind="bar",
            log_y=True,
            note=f"Mean over the seeds, after {step} of {num_steps} steps "
            f"({100 * step / num_steps:.0f}% of the run).",
        )
        for step in dict.fromkeys(named_steps(num_steps))
    ]


def _bars(recipe: str, records: list[RunRecord], step: int) -> Series:
    drawn = [record.layer_norms[step] for record in records if step in record.layer_norms]
    layers = tuple(drawn[0]) if drawn else ()
    means = (float(np.mean([norms[layer] for norms in drawn])) for layer in layers)
    return Series(name=recipe, x=layers, y=tuple(finite(mean) for mean in means))


def _curve(name: str, records: list[RunRecord], vector: Callable[[RunRecord], Floats]) -> Series:
    """The seeds' vectors, averaged over neighbouring steps, as a mean with its band."""
    length = min(len(vector(record)) for record in records)
    parts = np.array_split(np.arange(length), min(length, NUM_POINTS))
    points = [[float(vector(record)[part].mean()) for record in records] for part in parts]
    bands = [_geometric(values) for values in points]
    return Series(
        name=name,
        x=tuple(float(part.mean()) for part in parts),
        y=tuple(band[0] for band in bands),
        low=tuple(band[1] for band in bands),
        high=tuple(band[2] for band in bands),
    )


def _geometric(values: list[float]) -> tuple[float | None, float | None, float | None]:
    """Mean, low and high end of the logarithms' interval: the axis is logarithmic too."""
    if not (np.isfinite(values).all() and min(values) > 0):
        return None, None, None
    band = interval([math.log(value) for value in values])
    mean, low, high = (math.exp(min(end, 700)) for end in (band.mean, band.low, band.high))
    return mean, finite(low), finite(high)


def _thinned(length: int) -> np.ndarray:
    """Indices of at most 400 steps, evenly spread."""
    return np.unique(np.linspace(0, length - 1, min(length, 400)).astype(int))


def _cells(values: Floats) -> tuple[float | None, ...]:
    return tuple(finite(float(value)) for value in values)
