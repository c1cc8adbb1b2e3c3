"""The doctor's verdicts program by program, the calibration and the costs, as tables and charts."""

from __future__ import annotations

from collections.abc import Sequence

from steadytrain.core.experiment import Cell, Chart, Series, Table
from steadytrain.lab.doctoring.figures import calibration
from steadytrain.lab.doctoring.verdicts import Verdict
from steadytrain.lab.zoo.planting import known_faults

COLUMNS = (
    "program",
    "on",
    "seed",
    "planted",
    "said",
    "right",
    "proven",
    "place",
    "restored",
    "cost",
)


def tables(parts: dict[str, list[Verdict]]) -> tuple[Table, ...]:
    """The verdicts of each part: the faulty programs, and the healthy ones that were not said so.

    A table that would be empty is left out.
    """
    made = (table for name, own in parts.items() for table in _of_part(name, own))
    return tuple(table for table in made if table.rows)


def charts(parts: dict[str, list[Verdict]]) -> tuple[Chart, ...]:
    """How often a confidence is right, and what a diagnosis costs."""
    every = [one for own in parts.values() for one in own]
    return (_calibration(parts), _costs(every))


def _of_part(part: str, verdicts: Sequence[Verdict]) -> tuple[Table, Table]:
    faulty = [one for one in verdicts if one.job.kind == "fault"]
    healthy = [one for one in verdicts if one.job.kind != "fault"]
    wrong = [one for one in healthy if not one.is_right]
    return (
        Table(
            title=f"Faulty programs: {part}",
            columns=COLUMNS,
            rows=tuple(_row(one) for one in sorted(faulty, key=lambda one: one.is_right)),
            note="The wrong ones first. Cost is steps over those of the observed run.",
        ),
        Table(
            title=f"Healthy programs that were not said to be: {part}",
            columns=COLUMNS,
            rows=tuple(_row(one) for one in wrong),
            note=f"{len(healthy) - len(wrong)} of {len(healthy)} were said to be healthy.",
        ),
    )


def _row(one: Verdict) -> tuple[Cell, ...]:
    job = one.job
    planted = known_faults()[job.name].cause if job.kind == "fault" else "nothing"
    return (
        job.name if job.kind == "fault" else f"{job.kind} {job.name}",
        job.architecture,
        job.seed,
        planted,
        one.error or ", ".join(_said(one)) or "healthy",
        _yes(one.is_right),
        _yes(one.is_proven),
        _yes(one.is_placed),
        _yes(one.restored),
        round(one.cost, 1),
    )


def _said(one: Verdict) -> list[str]:
    return [f"{cause.name} {cause.confidence:.2f}" for cause in one.causes[:3]]


def _yes(value: bool | None) -> str:
    return "-" if value is None else ("yes" if value else "no")


def _calibration(parts: dict[str, list[Verdict]]) -> Chart:
    lines = tuple(
        Series(
            name=name,
            x=tuple(round(mean, 4) for mean, *_ in bins),
            y=tuple(share for _, share, _ in bins),
        )
        for name, own in parts.items()
        if (bins := calibration(own))
    )
    return Chart(
        title="How often a confidence is right",
        x_label="confidence",
        y_label="share that is right",
        series=(*lines, Series(name="calibrated", x=(0.0, 1.0), y=(0.0, 1.0))),
    )


def _costs(verdicts: Sequence[Verdict]) -> Chart:
    costs = sorted(one.cost for one in verdicts)
    return Chart(
        title="What a diagnosis costs",
        x_label="programs, the cheapest first",
        y_label="steps over the observed run",
        series=(Series(name="cost", x=tuple(map(float, range(len(costs)))), y=tuple(costs)),),
    )
