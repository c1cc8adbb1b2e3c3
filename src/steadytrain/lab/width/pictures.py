"""The experiment's tables, charts and claims."""

from __future__ import annotations

import math

from steadytrain.core.experiment import Cell, Chart, Claim, Series, Table, Verdict
from steadytrain.lab.width.findings import LIMIT, PAIR, Findings
from steadytrain.lab.width.networks import MAXIMAL, STANDARD


def tables(found: Findings) -> tuple[Table, ...]:
    """The sizes of every site, and the loss at every rate."""
    return (*(_sizes(found, setting) for setting in found.settings), _losses(found))


def charts(found: Findings) -> tuple[Chart, ...]:
    """The size of the output by width, and the loss by rate, one line per width."""
    return (
        *(_coordinates(found, setting) for setting in found.settings),
        *(_rates(found, parametrization) for parametrization in PAIR),
    )


def claims(found: Findings) -> tuple[Claim, ...]:
    """The questions, in order."""
    return (_grows(found), _is_flat(found), _carries_over(found))


def _grows(found: Findings) -> Claim:
    growth = {one: found.worst_growth(one, STANDARD) for one in found.settings}
    return Claim(
        question="Does what a layer computes grow with the width in the usual parametrisation?",
        expected=f"some layer by more than x{LIMIT:g} from the first width to the last",
        measured=_listed(growth),
        verdict=_verdict(
            found,
            [value > LIMIT for values in growth.values() for value in values],
        ),
        comment="The site that grows most, after an update; lowest and highest of the seeds.",
    )


def _is_flat(found: Findings) -> Claim:
    growth = {one: found.worst_growth(one, MAXIMAL) for one in found.settings}
    return Claim(
        question="Does it stay the same with muP?",
        expected=f"no layer grows by more than x{LIMIT:g}",
        measured=_listed(growth),
        verdict=_verdict(found, [value <= LIMIT for values in growth.values() for value in values]),
        comment="One rate for all widths, the base's; at the base width both are the same network.",
    )


def _carries_over(found: Findings) -> Claim:
    narrow, wide = found.widths[0], found.widths[-1]
    best = {one: (found.best_rate(one, narrow), found.best_rate(one, wide)) for one in PAIR}
    regret = {one: found.regret(one) for one in PAIR}
    rates = "; ".join(f"{one} {a:.2g} -> {b:.2g}" for one, (a, b) in best.items())
    costs = "; ".join(f"{one} {share:.1%}" for one, share in regret.items())
    moved = {one: abs(math.log2(a / b)) for one, (a, b) in best.items()}
    holds = moved[MAXIMAL] <= 1 and moved[MAXIMAL] < moved[STANDARD]
    return Claim(
        question="Is the best learning rate of a narrow network a wide one's too?",
        expected="with muP within one step of the grid (x2), in the usual one not",
        measured=f"best rate at width {narrow} -> {wide}: {rates}; "
        f"loss above its own best at the narrow one's rate: {costs}",
        verdict=_verdict(found, [holds, regret[MAXIMAL] <= regret[STANDARD]]),
        comment="By the mean loss over the seeds.",
    )


def _verdict(found: Findings, shown: list[bool]) -> Verdict:
    if len(found.seeds) < 2:
        return "not shown"
    return "holds" if all(shown) else "not shown" if any(shown) else "contradicted"


def _listed(growth: dict[tuple[str, str], list[float]]) -> str:
    return "; ".join(
        f"{network}, {optimizer}: x{min(values):.2g} to x{max(values):.2g}"
        for (network, optimizer), values in growth.items()
    )


def _sizes(found: Findings, setting: tuple[str, str]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (site, parametrization, *found.size(setting, parametrization, site))
        for site in found.sites(setting)
        for parametrization in PAIR
    ]
    return Table(
        title=f"RMS of each layer's output after the last step: {', '.join(setting)}",
        columns=("site", "parametrisation", *(f"width {width}" for width in found.widths)),
        rows=tuple(rows),
        note="Geometric mean over the seeds.",
    )


def _losses(found: Findings) -> Table:
    return Table(
        title="Training loss by learning rate and width: MLP, Adam",
        columns=("parametrisation", "width", *(f"{rate:.2g}" for rate in found.rates)),
        rows=tuple(
            (one, width, *(found.mean_loss(one, width, rate) for rate in found.rates))
            for one in PAIR
            for width in found.widths
        ),
        note="Mean of the last tenth of the steps over the seeds; empty where one diverged.",
    )


def _coordinates(found: Findings, setting: tuple[str, str]) -> Chart:
    return Chart(
        title=f"Size of the network's output after the last step: {', '.join(setting)}",
        x_label="width",
        y_label="RMS",
        series=tuple(
            Series(
                name=one,
                x=tuple(float(width) for width in found.widths),
                y=tuple(found.size(setting, one, "(output)")),
            )
            for one in PAIR
        ),
        log_y=True,
        note="One learning rate for all widths. Flat is right.",
    )


def _rates(found: Findings, parametrization: str) -> Chart:
    return Chart(
        title=f"Training loss by learning rate, {parametrization}",
        x_label="learning rate (log2)",
        y_label="loss",
        series=tuple(
            Series(
                name=f"width {width}",
                x=tuple(math.log2(rate) for rate in found.rates),
                y=tuple(found.mean_loss(parametrization, width, rate) for rate in found.rates),
            )
            for width in found.widths
        ),
        log_y=True,
        note="With muP the lowest points stand above one another.",
    )
