"""The fault lab's tables: per fault, per control, per rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from steadytrain.core.experiment import Cell, Table
from steadytrain.core.finding import Severity
from steadytrain.engine import known_rules
from steadytrain.lab.zoo.claims import placed
from steadytrain.lab.zoo.planting import known_faults, twin_of
from steadytrain.lab.zoo.scoring import (
    Outcome,
    Share,
    alarms_per_thousand,
    delay,
    first_right,
    is_first_cause_right,
)


def tables(outcomes: Sequence[Outcome]) -> tuple[Table, ...]:
    """What each fault, control and rule came to."""
    return (_faults(outcomes), _controls(outcomes), _rules(outcomes))


def _faults(outcomes: Sequence[Outcome]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, planted in known_faults().items():
        own = [one for one in outcomes if one.job.kind == "fault" and one.job.name == name]
        if not own:
            continue
        parts = [[one for one in own if one.job.is_scored_only is only] for only in (False, True)]
        recalls = [str(Share.of(first_right(one) is not None for one in part)) for part in parts]
        late = [value for value in map(delay, own) if np.isfinite(value)]
        firsts = str(Share.of(map(is_first_cause_right, own)))
        shared = {twin_of(name, on) for on in planted.on}
        twins = [
            one
            for one in outcomes
            if one.job.kind == "twin" and (one.job.name, one.job.architecture) in shared
        ]
        said = Counter(said.rule for one in own for said in one.alarms)
        rows.append(
            (
                name,
                planted.cause,
                *recalls,
                f"{np.median(late):g}" if late else "-",
                firsts,
                str(placed(own)),
                sum(len(one.alarms) for one in twins),
                ", ".join(f"{rule} {count}" for rule, count in said.most_common(4)) or "nothing",
            )
        )
    return Table(
        title="Planted faults",
        columns=(
            "fault",
            "cause",
            "named, seen",
            "named, only scored",
            "median delay",
            "first of the ranking",
            "right place",
            "alarms on twins",
            "what was said",
        ),
        rows=tuple(rows),
        note="Named: an alarm at or after the onset nominates the cause. Wilson's 95% intervals.",
    )


def _controls(outcomes: Sequence[Outcome]) -> Table:
    kinds = sorted({one.job.name for one in outcomes if one.job.kind == "control"})
    rows: list[tuple[Cell, ...]] = []
    for name in kinds:
        own = [one for one in outcomes if one.job.kind == "control" and one.job.name == name]
        said = Counter((said.rule, one.job.architecture) for one in own for said in one.alarms)
        which = ", ".join(f"{rule} ({on}) {count}" for (rule, on), count in said.most_common(5))
        rate = alarms_per_thousand(own, Severity.WARNING)
        rows.append((name, len(own), sum(one.steps for one in own), f"{rate:.3f}", which or "-"))
    return Table(
        title="Healthy controls",
        columns=("control", "runs", "steps", "alarms per 1,000 steps", "which"),
        rows=tuple(rows),
    )


def _rules(outcomes: Sequence[Outcome]) -> Table:
    faulty = [one for one in outcomes if one.job.kind == "fault"]
    healthy = [one for one in outcomes if one.job.kind != "fault"]
    steps = max(1, sum(one.steps for one in healthy))
    rows: list[tuple[Cell, ...]] = []
    for name in known_rules():
        speaking = [one for one in faulty if any(said.rule == name for said in one.alarms)]
        right = Share.of(_is_right(one, name) for one in speaking)
        false = sum(said.rule == name for one in healthy for said in one.alarms)
        rows.append((name, len(speaking), str(right), false, f"{1000 * false / steps:.3f}"))
    return Table(
        title="Rules",
        columns=(
            "rule",
            "faulty runs it spoke on",
            "nominating the cause",
            "false alarms",
            "per 1,000 healthy steps",
        ),
        rows=tuple(rows),
    )


def _is_right(outcome: Outcome, rule: str) -> bool:
    planted = known_faults()[outcome.job.name]
    right = {planted.cause, *planted.also}
    return any(said.rule == rule and right & set(said.causes) for said in outcome.alarms)
