"""What was measured, as tables and charts."""

from __future__ import annotations

from steadytrain.core.experiment import Cell, Chart, Series, Table
from steadytrain.lab.clips.handlers import ON_SERIES, ROBUST, ZCLIP
from steadytrain.lab.clips.results import Results, percent, shown
from steadytrain.lab.clips.series import NOISES


def tables(results: Results) -> tuple[Table, ...]:
    """Everything, most important first."""
    return (_faults(results), _movement(results), _rises(results), _noise(results))


def charts(results: Results) -> tuple[Chart, ...]:
    """The rise that stays: how many steps are clipped, and what is left of the norm."""
    return (_clipped_chart(results), _rise_chart(results))


def _faults(results: Results) -> Table:
    faults = results.scale.faults
    rows = tuple(
        (handler, *(shown([run.loss for run in results.runs(handler, fault)]) for fault in faults))
        for handler in results.handlers
    )
    return Table(
        title="Test loss after one fault in the middle of the run",
        columns=("between backward and step", *faults),
        rows=rows,
        note="Not finite: the weights are destroyed, and the run is over.",
    )


def _movement(results: Results) -> Table:
    faults = [fault for fault in ("none", "one tensor of 1e30") if fault in results.scale.faults]

    def row(handler: str) -> tuple[Cell, ...]:
        inner = shown([run.inner_movement for run in results.runs(handler, "none")])
        hit = [results.runs(handler, fault) for fault in faults]
        return (handler, inner, *(shown([run.stem_movement for run in runs]) for runs in hit))

    return Table(
        title="How far layers move in the second half of the run",
        columns=(
            "between backward and step",
            "behind the zero-initialised projections",
            *(f"first layer, fault: {fault}" for fault in faults),
        ),
        rows=tuple(row(handler) for handler in results.handlers),
        note="L2. Zero is a layer that is frozen for good while the loss looks healthy.",
    )


def _rises(results: Results) -> Table:
    def cell(handler: str, factor: float) -> str:
        found = results.rises(handler, factor)
        rest = max(one.steps_to_rest for one in found)
        ending = f"at rest after {rest}" if rest < results.scale.after else "never at rest"
        return f"{percent([one.clipped_after for one in found])}, {ending}"

    factors = results.scale.factors
    return Table(
        title=f"Steps clipped among the {results.scale.after:,} after a rise of the norm that stays",
        columns=("clip", *(f"x{factor:g}" for factor in factors)),
        rows=tuple((handler, *(cell(handler, f) for f in factors)) for handler in ON_SERIES),
        note="Synthetic norms around 1, variation 10%; range over the seeds. At rest: at most 5% of "
        "the next 50 steps are clipped. Clips that adapt run without a fixed limit beside it.",
    )


def _noise(results: Results) -> Table:
    variations = results.scale.variations

    def cell(noise: str, variation: float) -> str:
        found = results.healthy(noise, variation)
        return percent([one.clipped_after for one in found])

    return Table(
        title="Steps of healthy noise that RobustClip clips",
        columns=("noise of log norm", *(f"variation {one:.0%}" for one in variations)),
        rows=tuple((noise, *(cell(noise, one) for one in variations)) for noise in NOISES),
        note=f"{results.scale.after:,} steps per seed; range over the seeds.",
    )


def _clipped_chart(results: Results) -> Chart:
    lines = tuple(
        Series(
            name=f"norm x{factor:g}",
            x=tuple(ON_SERIES),
            y=tuple(_mean_share(results, handler, factor) for handler in ON_SERIES),
        )
        for factor in results.scale.factors
    )
    return Chart(
        title="Steps clipped after a rise of the norm that stays",
        x_label="clip",
        y_label="share of steps",
        series=lines,
        kind="bar",
    )


def _mean_share(results: Results, handler: str, factor: float) -> float:
    found = results.rises(handler, factor)
    return sum(one.clipped_after for one in found) / len(found)


def _rise_chart(results: Results) -> Chart:
    factor = results.scale.factors[0]
    runs = {handler: results.rises(handler, factor)[0] for handler in (ROBUST, ZCLIP)}
    some = runs[ROBUST]
    begin = max(0, some.job.before - 50)
    end = min(len(some.norms), some.job.before + 150)
    steps = tuple(float(step - some.job.before) for step in range(begin, end))
    lines = [Series(name="before clipping", x=steps, y=tuple(some.norms[begin:end].tolist()))]
    for handler, run in runs.items():
        lines.append(
            Series(name=f"after {handler}", x=steps, y=tuple(run.applied[begin:end].tolist()))
        )
    return Chart(
        title=f"The norm rises x{factor:g} at step 0 and stays",
        x_label="steps after the rise",
        y_label="gradient norm",
        series=tuple(lines),
        note="One seed.",
    )
