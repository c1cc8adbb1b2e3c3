"""The fault lab's tables: in total, per fault, per control, per rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from steadytrain.core.experiment import Cell, Table
from steadytrain.core.finding import Severity
from steadytrain.engine import known_rules
from steadytrain.lab.zoo.claims import delays, placed
from steadytrain.lab.zoo.planting import known_faults, twin_of
from steadytrain.lab.zoo.scoring import (
    Outcome,
    Said,
    Share,
    alarms_per_thousand,
    delay,
    first_right,
    is_first_cause_right,
)


def tables(outcomes: Sequence[Outcome]) -> tuple[Table, ...]:
    """What the lab came to in total, per fault, per control and per rule.

    Single faults and controls are shown of the tuning part alone: who reads what one of the others
    came to, chooses limits by it.
    """
    tuning = [one for one in outcomes if not one.job.is_scored_only]
    return (_totals(outcomes), _faults(tuning), _controls(tuning), _rules(outcomes))


def _parts(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """What limits may be chosen on, and what is only scored."""
    parts: tuple[list[Outcome], list[Outcome]] = [], []
    for one in outcomes:
        parts[one.job.is_scored_only].append(one)
    return parts


def _totals(outcomes: Sequence[Outcome]) -> Table:
    columns = [dict(_figures(part)) for part in _parts(outcomes)]
    return Table(
        title="In total",
        columns=("figure", "tuning", "only scored"),
        rows=tuple((name, *(column[name] for column in columns)) for name in columns[0]),
        note="Wilson's 95% intervals in brackets. Limits were chosen with the tuning part in sight.",
    )


def _figures(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, Cell]]:
    faulty = [one for one in outcomes if one.job.kind == "fault"]
    healthy = [one for one in outcomes if one.job.kind != "fault"]
    yield "faulty runs", len(faulty)
    yield "healthy runs", len(healthy)
    yield "healthy steps", sum(one.steps for one in healthy)
    yield "cause named", str(Share.of(first_right(one) is not None for one in faulty))
    for among, name in ((1, "cause first of the ranking"), (3, "cause among the first three")):
        yield name, str(Share.of(is_first_cause_right(one, among) for one in faulty))
    yield "anything said at all", str(Share.of(bool(one.alarms) for one in faulty))
    yield "first site right", str(placed(faulty))
    sudden, slow = delays(faulty)
    yield "median delay of sudden faults, steps", f"{np.median(sudden):g}" if sudden else "-"
    yield "median delay of slow faults, share of the run", f"{np.median(slow):.2f}" if slow else "-"
    for least in (Severity.WARNING, Severity.CRITICAL):
        name = f"false alarms per 1,000 healthy steps, {least.name.lower()} or above"
        yield name, _rate(healthy, lambda said, least=least: said.severity >= least)
    yield "healthy runs with a false alarm", str(Share.of(bool(one.alarms) for one in healthy))


def _rate(healthy: Sequence[Outcome], counts: Callable[[Said], bool]) -> str:
    """Findings per 1,000 steps of healthy runs with their interval."""
    steps = sum(one.steps for one in healthy)
    if not steps:
        return "-"
    share = Share(hits=sum(map(counts, (s for o in healthy for s in o.said))), total=steps)
    low, high = (1000 * end for end in share.interval)
    return f"{1000 * share.hits / steps:.3f} [{low:.3f}, {high:.3f}] ({share.hits})"


def _faults(outcomes: Sequence[Outcome]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, planted in known_faults().items():
        own = [one for one in outcomes if one.job.kind == "fault" and one.job.name == name]
        if not own:
            continue
        late = [value for value in map(delay, own) if np.isfinite(value)]
        shared = {twin_of(name, on) for on in planted.on}
        twins = [one for one in outcomes if one.job.kind == "twin" and _program(one) in shared]
        said = Counter(said.rule for one in own for said in one.alarms)
        rows.append(
            (
                name,
                planted.cause,
                str(Share.of(first_right(one) is not None for one in own)),
                f"{np.median(late):g}" if late else "-",
                str(Share.of(map(is_first_cause_right, own))),
                str(placed(own)),
                sum(len(one.alarms) for one in twins),
                ", ".join(f"{rule} {count}" for rule, count in said.most_common(4)) or "nothing",
            )
        )
    return Table(
        title="Planted faults, tuning part",
        columns=(
            "fault",
            "cause",
            "named",
            "median delay",
            "first of the ranking",
            "right place",
            "alarms on twins",
            "what was said",
        ),
        rows=tuple(rows),
        note="Named: an alarm at or after the onset nominates the cause. Wilson's 95% intervals.",
    )


def _program(one: Outcome) -> tuple[str, str]:
    return one.job.name, one.job.architecture


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
        title="Healthy controls, tuning part",
        columns=("control", "runs", "steps", "alarms per 1,000 steps", "which"),
        rows=tuple(rows),
    )


def _rules(outcomes: Sequence[Outcome]) -> Table:
    tuning, scored = _parts(outcomes)
    return Table(
        title="Rules",
        columns=(
            "rule",
            "nominating the cause where it spoke, tuning",
            "only scored",
            "false alarms per 1,000 healthy steps, tuning",
            "only scored ",
        ),
        rows=tuple(
            (
                name,
                *(_precision(part, name) for part in (tuning, scored)),
                *(_rate(_healthy(part), partial(_is_alarm_of, name)) for part in (tuning, scored)),
            )
            for name in known_rules()
        ),
    )


def _precision(outcomes: Sequence[Outcome], rule: str) -> str:
    """In how many of the faulty runs it spoke on a rule nominated the cause."""
    faulty = [one for one in outcomes if one.job.kind == "fault"]
    speaking = [one for one in faulty if any(said.rule == rule for said in one.alarms)]
    return str(Share.of(_is_right(one, rule) for one in speaking))


def _healthy(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one.job.kind != "fault"]


def _is_alarm_of(rule: str, said: Said) -> bool:
    return said.rule == rule and said.severity >= Severity.WARNING


def _is_right(outcome: Outcome, rule: str) -> bool:
    planted = known_faults()[outcome.job.name]
    right = {planted.cause, *planted.also}
    return any(said.rule == rule and right & set(said.causes) for said in outcome.alarms)
