"""Which trials are worth making, and when no further one can change the verdict; no effects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from steadytrain.doctor.evidence import Evidence
from steadytrain.doctor.nominating import Suspect
from steadytrain.doctor.reading import read

RIVAL: Final = 0.5
"""Share of the merit of one that restored health from which another cause's change may be better."""

CERTAIN: Final = 0.4
"""Weight of the next suspect over that of the proven one, below which no further trial is made."""


def short_length(evidence: Evidence, whole: int) -> int:
    """The fewest steps after which the observed run is in visible trouble."""
    if evidence.is_quiet:
        return max(2, whole // 3)
    for part in (5, 4, 3, 2):
        steps = max(whole // part, min(whole, 20))
        reading = read(evidence.base, steps)
        if not reading.is_finite or reading.first_alarm <= 0.7 * steps:
            return steps
    return whole


def is_certain(evidence: Evidence, names: Sequence[str]) -> bool:
    """Whether one of these restored health and nothing else is suspected as much."""
    good = [name for name in names if name in evidence.promising]
    if not good:
        return False
    weights = weights_of(evidence.ranked)
    best = max(weights.get(name, 0.0) for name in good)
    waiting = [
        one.weight
        for one in evidence.ranked
        if not any(proof in evidence.made for proof in one.proofs) and one.proofs
    ]
    return max(waiting, default=0.0) < CERTAIN * best


def is_settled(evidence: Evidence, done: Sequence[str], rival: str) -> bool:
    """Whether one restored health and the next neither did as well nor is suspected as much.

    Nor is another change for the same cause worth a whole run.
    """
    restored = [name for name in done if name in evidence.restored]
    if not restored or not is_certain(evidence, done):
        return False
    proven = [one for one in evidence.ranked if set(restored) & set(one.proofs)]
    others = [one for one in evidence.ranked if one not in proven and rival in one.proofs]
    merits = evidence.promising
    is_close = merits[rival] > RIVAL * max(merits[name] for name in restored)
    weight = max((one.weight for one in others), default=0.0)
    best = max((one.weight for one in proven), default=0.0)
    serves_same = any(rival in one.proofs for one in proven)
    return not (weight >= CERTAIN * best or (is_close and not serves_same))


def has_alarmed(evidence: Evidence, name: str) -> bool:
    """Whether a longer run of it could say nothing else: what alarmed has alarmed."""
    made = evidence.made.get(name)
    seen = made.judgement if made else None
    return seen is not None and (bool(seen.reading.alarms) or not seen.reading.is_finite)


def best_first(evidence: Evidence) -> list[str]:
    """The promising changes, by what they did and what is suspected."""
    weights, merits = weights_of(evidence.ranked), evidence.promising
    return sorted(merits, key=lambda name: -(merits[name] + weights.get(name, 0.0)))


def pairs_to_try(evidence: Evidence) -> list[tuple[str, ...]]:
    """Of the changes that helped without restoring, pairs of those that helped most."""
    helped = {
        name: one.judgement.gain
        for name, one in evidence.made.items()
        if one.judgement is not None and one.judgement.gain > 0 and "+" not in name
    }
    best = sorted(helped, key=lambda name: -helped[name])[:3]
    return [(one, other) for at, one in enumerate(best) for other in best[at + 1 :]]


def weights_of(ranked: Sequence[Suspect]) -> dict[str, float]:
    """The weight of the strongest suspect each change would prove."""
    weights: dict[str, float] = {}
    for one in ranked:
        for name in one.proofs:
            weights[name] = max(weights.get(name, 0.0), one.weight)
    return weights


def first_loss(evidence: Evidence) -> float:
    """Of the observed run; NaN where it had none."""
    return evidence.base.losses[0] if evidence.base.losses else math.nan
