"""The figures of the doctor over many verdicts, and what is expected of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from steadytrain.core.experiment import Claim
from steadytrain.lab.doctoring.verdicts import Verdict
from steadytrain.lab.zoo.scoring import Share

LEAST: Final = {
    "right cause first": 0.90,
    "right cause among three": 0.98,
    "place right": 0.95,
    "right ones proven": 0.80,
    "fix restores training": 0.90,
    "said healthy of healthy": 0.98,
}
"""The least share of each figure."""

BINS: Final = 5
"""Of confidence."""


def claims(verdicts: Sequence[Verdict], part: str) -> tuple[Claim, ...]:
    """Every figure of one part of the verdicts beside what is expected of it."""
    measured = shares(verdicts)
    falsely, error = measured["proven cause of healthy"], calibration_error(verdicts)
    found = [
        _claim(part, name, f"at least {least:.0%}", str(measured[name]), _reaches(measured, name))
        for name, least in LEAST.items()
    ]
    return (
        *found,
        _claim(part, "proven cause of healthy", "none", str(falsely), not falsely.hits),
        _claim(part, "calibration error", "at most 0.1", f"{error:.2f}", error <= 0.1),
        _cost(verdicts, part),
    )


def shares(verdicts: Sequence[Verdict]) -> dict[str, Share]:
    """Every figure that is a share, by name."""
    faulty = [one for one in verdicts if one.job.kind == "fault"]
    healthy = [one for one in verdicts if one.job.kind != "fault"]
    placed = [place for one in faulty if (place := one.is_placed) is not None]
    fixed = [one.restored for one in faulty if one.restored is not None]
    return {
        "right cause first": Share.of(one.is_right for one in faulty),
        "right cause among three": Share.of(one.is_right_among(3) for one in faulty),
        "place right": Share.of(placed),
        "right ones proven": Share.of(one.is_proven for one in faulty if one.is_right),
        "fix restores training": Share.of(fixed),
        "said healthy of healthy": Share.of(one.is_right for one in healthy),
        "proven cause of healthy": Share.of(any(c.proven for c in one.causes) for one in healthy),
    }


def calibration(verdicts: Sequence[Verdict], bins: int = BINS) -> list[tuple[float, float, int]]:
    """Per bin of confidence: the mean confidence, the share that is right, how many there are."""
    told = [(one.causes[0].confidence, one.is_right) for one in verdicts if one.causes]
    found: list[tuple[float, float, int]] = []
    for at in range(bins):
        last = at == bins - 1
        own = [(c, r) for c, r in told if at / bins <= c < (at + 1) / bins or (last and c >= 1.0)]
        if own:
            mean = sum(c for c, _ in own) / len(own)
            found.append((mean, sum(r for _, r in own) / len(own), len(own)))
    return found


def calibration_error(verdicts: Sequence[Verdict]) -> float:
    """The mean distance of confidence and truth over the bins, weighted by their size."""
    bins = calibration(verdicts)
    total = sum(count for *_, count in bins)
    return sum(abs(mean - share) * count for mean, share, count in bins) / total if total else 0.0


def _cost(verdicts: Sequence[Verdict], part: str) -> Claim:
    """Over the faulty programs: a healthy one is seen to be so in its observed run."""
    faulty = [one for one in verdicts if one.job.kind == "fault" and one.cost]
    costs = [one.cost for one in faulty] or [0.0]
    middle, most = statistics.median(costs), max(costs)
    return _claim(
        part,
        "cost of a faulty program over its observed run",
        "6 in the median, 12 at most",
        f"{middle:.1f} in the median, {most:.1f} at most",
        middle <= 6 and most <= 12,
    )


def _claim(
    part: str, name: str, expected: str, measured: str, holds: bool, comment: str = ""
) -> Claim:
    return Claim(
        question=f"{part}: {name}",
        expected=expected,
        measured=measured,
        verdict="holds" if holds else "contradicted",
        comment=comment,
    )


def _reaches(measured: dict[str, Share], name: str) -> bool:
    return measured[name].hits >= LEAST[name] * measured[name].total
