"""The fault lab's targets beside what was measured over the runs that are only scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steadytrain.core.experiment import Claim
from steadytrain.core.finding import Severity
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import known_faults
from steadytrain.lab.zoo.scoring import (
    Outcome,
    Share,
    alarms_per_thousand,
    delay,
    first_right,
    is_first_cause_right,
    is_site_right,
)


def claims(outcomes: Sequence[Outcome]) -> tuple[Claim, ...]:
    """One claim per target; all runs where none is only scored."""
    scored = [one for one in outcomes if one.job.is_scored_only] or list(outcomes)
    faulty = [one for one in scored if one.job.kind == "fault"]
    healthy = [one for one in scored if one.job.kind != "fault"]
    shares = (
        ("Is the cause named?", 0.95, Share.of(first_right(one) is not None for one in faulty)),
        ("Is it the first of the ranking?", 0.70, Share.of(map(is_first_cause_right, faulty))),
        (
            "Is it among the first three?",
            0.90,
            Share.of(is_first_cause_right(one, among=3) for one in faulty),
        ),
        ("Is the place right?", 0.90, placed(faulty)),
    )
    return (
        *(_at_least(question, least, share) for question, least, share in shares),
        *_delays(faulty),
        _alarms(healthy, Severity.WARNING, 0.1),
        _alarms(healthy, Severity.CRITICAL, 0.0),
    )


def placed(faulty: Sequence[Outcome]) -> Share:
    """How often the first alarm with a site is right, where the fault has a place."""
    places = [(one, places_of(one)) for one in faulty]
    return Share.of(is_site_right(one, where) for one, where in places if where)


def places_of(outcome: Outcome) -> tuple[str, ...]:
    """Where the fault of a run is; empty where it has no place."""
    job = outcome.job
    case = Case(architecture=job.architecture, seed=job.seed, data=job.data)
    return known_faults()[job.name].places(case)


def _at_least(question: str, least: float, share: Share) -> Claim:
    holds = share.total > 0 and share.hits >= least * share.total
    return Claim(
        question=question,
        expected=f"at least {least:.0%}",
        measured=str(share),
        verdict="holds" if holds else "contradicted" if share.total else "not shown",
    )


def delays(faulty: Sequence[Outcome]) -> tuple[list[float], list[float]]:
    """Of the runs whose cause is named: steps to it of sudden faults, share of the run of slow ones."""
    planted = known_faults()
    found = [(one, delay(one)) for one in faulty]
    seen = [(one, late) for one, late in found if np.isfinite(late)]
    sudden = [late for one, late in seen if planted[one.job.name].is_sudden]
    slow = [late / one.steps for one, late in seen if not planted[one.job.name].is_sudden]
    return sudden, slow


def _delays(faulty: Sequence[Outcome]) -> tuple[Claim, Claim]:
    sudden, slow = delays(faulty)
    return (
        _late("How late is a sudden fault named (median)?", 5, "at most 5 steps", sudden, "steps"),
        _late(
            "How late is a slow fault named (median)?", 0.1, "at most 10% of the run", slow, "of it"
        ),
    )


def _late(question: str, most: float, expected: str, late: Sequence[float], unit: str) -> Claim:
    middle = float(np.median(late)) if late else np.nan
    return Claim(
        question=question,
        expected=expected,
        measured=f"{middle:.3g} {unit} over {len(late)} runs" if late else "none found",
        verdict="holds" if middle <= most else "contradicted" if late else "not shown",
    )


def _alarms(healthy: Sequence[Outcome], least: Severity, most: float) -> Claim:
    rate = alarms_per_thousand(healthy, least)
    return Claim(
        question=f"False alarms ({least.name.lower()} or above) per 1,000 healthy steps?",
        expected=f"at most {most:g}",
        measured=f"{rate:.3f} over {sum(one.steps for one in healthy):,} steps",
        verdict="holds" if rate <= most else "contradicted" if rate == rate else "not shown",
    )
