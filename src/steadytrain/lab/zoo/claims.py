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
        _delays(faulty),
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


def _delays(faulty: Sequence[Outcome]) -> Claim:
    planted = known_faults()
    sudden = [delay(one) for one in faulty if planted[one.job.name].is_sudden]
    seen = [value for value in sudden if np.isfinite(value)]
    if not seen:
        measured, verdict = "none found", "not shown"
    else:
        measured = f"{np.median(seen):g} steps over {len(seen)} runs"
        verdict = "holds" if np.median(seen) <= 5 else "contradicted"
    return Claim(
        question="How late is a sudden fault named (median)?",
        expected="at most 5 steps",
        measured=measured,
        verdict=verdict,
    )


def _alarms(healthy: Sequence[Outcome], least: Severity, most: float) -> Claim:
    rate = alarms_per_thousand(healthy, least)
    return Claim(
        question=f"False alarms ({least.name.lower()} or above) per 1,000 healthy steps?",
        expected=f"at most {most:g}",
        measured=f"{rate:.3f} over {sum(one.steps for one in healthy):,} steps",
        verdict="holds" if rate <= most else "contradicted" if rate == rate else "not shown",
    )
