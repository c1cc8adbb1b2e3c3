"""The fault lab's pictures: how often and how late the causes of each family are named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steadytrain.core.causes import CAUSES, FAMILIES
from steadytrain.core.experiment import Chart, Series
from steadytrain.lab.zoo.planting import known_faults
from steadytrain.lab.zoo.scoring import Outcome, Share, delay, first_right


def charts(outcomes: Sequence[Outcome]) -> tuple[Chart, ...]:
    """Two bars per family of causes that was planted."""
    planted = known_faults()
    families: dict[str, list[Outcome]] = {}
    for one in outcomes:
        if one.job.kind == "fault":
            family = CAUSES[planted[one.job.name].cause].family
            families.setdefault(FAMILIES[family], []).append(one)
    names = tuple(families)
    shares = [Share.of(first_right(one) is not None for one in own) for own in families.values()]
    return (
        Chart(
            title="Causes that were named, by family",
            x_label="family of causes",
            y_label="share of runs",
            kind="bar",
            series=(
                Series(
                    name="named",
                    x=names,
                    y=tuple(one.hits / one.total for one in shares),
                    low=tuple(one.interval[0] for one in shares),
                    high=tuple(one.interval[1] for one in shares),
                ),
            ),
            note="Every run counts; bands are Wilson's 95% intervals.",
        ),
        Chart(
            title="Steps until the cause is named, by family",
            x_label="family of causes",
            y_label="median steps from the onset",
            kind="bar",
            series=(Series(name="median", x=names, y=tuple(map(_delay, families.values()))),),
            note="Of the runs in which it was named at all.",
        ),
    )


def _delay(own: Sequence[Outcome]) -> float | None:
    late = [value for value in map(delay, own) if np.isfinite(value)]
    return float(np.median(late)) if late else None
