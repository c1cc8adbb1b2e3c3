"""From evidence to causes: ranked, with a confidence, and proven where a trial proved it.

A cause is **proven** when one of its changes alone restored health over the whole length of the
observed run, did it nearly as well as any other change, and the placebo did not.

The order is that of a sum of evidence in logits: the weight of the nominations, then what the
trials say. A change that restores health adds, the more the better the run does; a cause whose
changes were tried and did not help, or do not apply to this program at all, loses; so does one of
which a refuting change restored health. Ties go to the smallest change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from steadytrain.core.causes import CAUSES, UNKNOWN
from steadytrain.core.diagnosis import Cause, Trial
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.root_cause import known_root_causes
from steadytrain.doctor.change import PLACEBO, REORDERS, RERUN, known_changes
from steadytrain.doctor.evidence import Evidence
from steadytrain.doctor.nominating import Suspect, starts_nonfinite
from steadytrain.doctor.sites import said_site, site_of

RESTORED: Final = 1.5
"""Logits for a change that restored health."""

MERIT: Final = 2.0
"""Further logits for the one that does it best."""

IN_VAIN: Final = -1.5
"""Logits where the changes were tried and none restored health."""

NOT_APPLICABLE: Final = -2.0
"""Logits where no change that would prove it applies to this program."""

REFUTED: Final = -1.0
"""Logits for a change that speaks for another cause."""

PER_SIZE: Final = -0.15
"""Logits for each size of the change above the smallest."""

UNPROVEN: Final = 0.7
"""The highest confidence without a proof."""

AT_ITS_PLACE: Final = 2.0
"""Logits for a repaired operation where a quiet run met its first non-finite value."""

EXACT: Final = 2.0
"""Logits for a helpful change of a cause that was seen exactly, not only by its effects."""

ALONE: Final = 0.98
"""Weight of a nomination from which a finding means one cause."""

NEAR_BEST: Final = 0.25
"""Share of the best merit that a proof must reach."""

LISTED: Final = 0.03
"""Confidence below which a cause is not worth a person's time."""

TRANSIENT: Final = "hardware-fault"
"""The cause of what does not recur when the same steps are run again from the same state."""

OUTSIDER: Final = 0.03
"""Weight of a cause that nothing nominated and whose change restored health."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What all the evidence says of one cause."""

    suspect: Suspect
    logit: float
    proof: str | None
    """The change that proves it, if one does."""
    best: str | None
    """The change that did best among its own, if one restored health."""


def opinions(evidence: Evidence) -> list[Opinion]:
    """One per suspect, the best explanation first."""
    named = [*evidence.ranked, *_outsiders(evidence)]
    found = [_opinion(evidence, suspect) for suspect in named]
    places = {name: place for place, name in enumerate(CAUSES)}
    return sorted(
        found,
        key=lambda one: (one.proof is None, -one.logit, places.get(one.suspect.name, 0)),
    )


def causes_of(evidence: Evidence, trials: Sequence[Trial]) -> list[Cause]:
    """The causes a person should read, best explanation first; empty where all is well."""
    ranked = opinions(evidence)
    shares = _shares(ranked)
    by_name = {trial.name: trial for trial in trials}
    listed = [
        _cause(evidence, opinion, share, by_name)
        for opinion, share in zip(ranked, shares, strict=True)
        if _is_worth_saying(opinion, share)
    ]
    if not listed and _must_speak(evidence):
        return [_unknown(evidence)]
    return listed[:8]


def _outsiders(evidence: Evidence) -> list[Suspect]:
    """Causes that nothing nominated, where a change of theirs restored health."""
    nominated = {one.name for one in evidence.ranked}
    if not evidence.recurs:
        return [] if TRANSIENT in nominated else [Suspect(name=TRANSIENT, weight=OUTSIDER)]
    return [
        Suspect(name=name, weight=OUTSIDER)
        for name, cause in known_root_causes().items()
        if name not in nominated and any(proof in evidence.restored for proof in cause.proofs)
    ]


def _opinion(evidence: Evidence, suspect: Suspect) -> Opinion:
    weight = min(max(suspect.weight, 1e-3), 0.98)
    logit = math.log(weight / (1 - weight))
    made = [evidence.made[name] for name in suspect.proofs if name in evidence.made]
    merit = {
        one.name: evidence.promising[one.name] for one in made if one.name in evidence.promising
    }
    best = max(merit, key=lambda name: merit[name] - 0.05 * _size(name), default=None)
    if best is not None:
        logit += RESTORED + MERIT * merit[best] + PER_SIZE * (_size(best) - 1)
    elif any(one.judgement is not None for one in made):
        logit += IN_VAIN
    elif made and len(made) == len(suspect.proofs):
        logit += NOT_APPLICABLE
    refutations = suspect.cause.refutations if suspect.cause else ()
    if any(
        evidence.promising.get(name, 0.0) >= merit.get(best or "", 0.0) > 0 for name in refutations
    ):
        logit += REFUTED
    known = CAUSES.get(suspect.name)
    if best is not None and known and known.family == "NUM" and starts_nonfinite(evidence.findings):
        logit += AT_ITS_PLACE
    if best is not None and _is_seen_exactly(suspect):
        logit += EXACT
    proof = _proof(evidence, merit, is_exact=_is_seen_exactly(suspect))
    if suspect.name == TRANSIENT and not evidence.recurs:
        proof, logit = RERUN, logit + RESTORED + MERIT
    return Opinion(suspect=suspect, logit=logit, proof=proof, best=best)


def _is_seen_exactly(suspect: Suspect) -> bool:
    """Whether a finding that can hardly mean anything else speaks for it, loudly."""
    weights = suspect.cause.nominations if suspect.cause else {}
    loud = (one for one in suspect.findings if one.severity >= Severity.WARNING)
    return any(weights.get(one.rule, 0.0) >= ALONE for one in loud)


def _proof(evidence: Evidence, merit: dict[str, float], *, is_exact: bool) -> str | None:
    """The smallest change that restored health for the whole length, nearly as well as any.

    The placebo is another order of the data. Where that restores health, it proves nothing but that
    the order was at fault, and only where the order was seen to be wrong. What a check had found is
    another matter: another order does not make it pass.
    """
    placebo = evidence.made.get(PLACEBO)
    if placebo is None or placebo.judgement is None:
        return None
    restored = evidence.restored
    top = max(restored.values(), default=0.0)
    good = [name for name in merit if restored.get(name, -1.0) >= NEAR_BEST * top]
    if placebo.judgement.healthy:
        good = [n for n in good if (n == REORDERS and is_exact) or _is_mended(evidence, n)]
    return min(good, key=lambda name: (_size(name), -restored[name]), default=None)


def _is_mended(evidence: Evidence, name: str) -> bool:
    judgement = evidence.made[name].judgement
    return judgement is not None and judgement.mended


def _shares(ranked: Sequence[Opinion]) -> list[float]:
    """Confidences: what each cause has of all the evidence, with a rest for a cause unnamed."""
    powers = [math.exp(min(one.logit + (1.0 if one.proof else 0.0), 50.0)) for one in ranked]
    total = sum(powers) + math.exp(-1.5)
    trust = [1.0 if one.proof else UNPROVEN for one in ranked]
    return [power / total * sure for power, sure in zip(powers, trust, strict=True)]


def _is_worth_saying(opinion: Opinion, share: float) -> bool:
    if opinion.suspect.name in ("overfitting", "underfitting-capacity") or share < LISTED:
        return False
    if opinion.proof is not None:
        return True
    return any(_is_alarm(one) for one in opinion.suspect.findings)


def _is_alarm(finding: Finding) -> bool:
    """Whether a person must know of it without a proof.

    What was seen while training or by the preflight, at warning or above; what was only read in
    the source, beyond doubt.
    """
    is_read = {"path", "line"} <= finding.evidence.keys()
    return finding.severity >= (Severity.CRITICAL if is_read else Severity.WARNING)


def _must_speak(evidence: Evidence) -> bool:
    """Whether the observed run was in trouble that no cause is named for."""
    if evidence.base.error:
        return True
    return evidence.is_sick and any(_is_alarm(one) for one in evidence.findings)


def _cause(evidence: Evidence, opinion: Opinion, share: float, trials: dict[str, Trial]) -> Cause:
    suspect = opinion.suspect
    file = suspect.cause
    site = site_of(suspect.name, suspect.findings)
    known = CAUSES.get(suspect.name)
    names = (*suspect.proofs, *(file.refutations if file else ()))
    own = [trials[name] for name in names if name in trials]
    own.sort(key=lambda trial: trial.name != opinion.proof)  # the proof is the first to be read
    return Cause(
        name=suspect.name,
        code=known.code if known else (file.code if file else ""),
        site=site,
        step=min((one.step for one in suspect.findings), default=0),
        confidence=round(share, 3),
        proven=opinion.proof is not None,
        findings=suspect.findings,
        trials=tuple(own),
        fix=_fix(file.fix if file else "", site) + _line(suspect.findings),
        explanation=_explanation(evidence, opinion, known.meaning if known else ""),
    )


def _fix(template: str, site: str | None) -> str:
    return template.replace("{site}", said_site(site) if site else "the model")


def _line(findings: Sequence[Finding]) -> str:
    """The place in the source, where lint found one."""
    named = (one.evidence for one in findings if {"path", "line"} <= one.evidence.keys())
    place = next(named, None)
    return "" if place is None else f" The place is {place['path']}, line {place['line']}."


def _explanation(evidence: Evidence, opinion: Opinion, meaning: str) -> str:
    parts = [meaning]
    parts += [one.message for one in opinion.suspect.findings[:1]]
    name = opinion.proof or opinion.best
    judgement = evidence.made[name].judgement if name else None
    if name is not None and judgement is not None:
        text = "the same run once more" if name == RERUN else known_changes()[name].text
        proven = "which proves it: the placebo did not help"
        if name == REORDERS:
            proven = "as in any other order, which proves it"
        claim = proven if opinion.proof else "which is no proof"
        parts.append(f"With one change, {text}, {judgement.outcome}, {claim}.")
    return " ".join(part for part in parts if part)


def _unknown(evidence: Evidence) -> Cause:
    loud = [one for one in evidence.findings if one.severity >= Severity.WARNING]
    said = evidence.base.error or (loud[0].message if loud else "the loss is not finite")
    tried = sum(one.judgement is not None for one in evidence.made.values())
    return Cause(
        name=UNKNOWN,
        code="",
        site=loud[0].site if loud else None,
        step=loud[0].step if loud else max(0, evidence.base.steps - 1),
        confidence=0.5,
        findings=tuple(loud),
        explanation=f"No single cause was found. What was seen: {said} Of {tried} changes that were "
        "tried, none restored health alone.",
        fix="Read the error or the findings, and make the program smaller until it trains.",
    )


def _size(name: str) -> int:
    change = known_changes().get(name)
    return change.size if change else 5
