"""The verdict in a paragraph that somebody reads who trains for the first time."""

from __future__ import annotations

from collections.abc import Sequence

from steadytrain.core.causes import CAUSES, UNKNOWN
from steadytrain.core.diagnosis import Cause, Trial
from steadytrain.doctor.change import PLACEBO, RERUN
from steadytrain.doctor.evidence import Evidence
from steadytrain.doctor.reading import read
from steadytrain.doctor.sites import said_site
from steadytrain.doctor.verdict import opinions


def summarised(evidence: Evidence, causes: Sequence[Cause], trials: Sequence[Trial]) -> str:
    """What is wrong, how that is known, and what to do."""
    parts = [_verdict(evidence, causes), _proof(evidence, causes, trials)]
    if causes and causes[0].fix:
        parts.append(f"What to do: {causes[0].fix}")
    if evidence.interrupted:
        parts.append("It was stopped by the keyboard: this is the verdict so far.")
    return " ".join(part for part in parts if part)


def _verdict(evidence: Evidence, causes: Sequence[Cause]) -> str:
    reading = read(evidence.base)
    went = f"from {reading.head:.3g} to {reading.tail:.3g} in {evidence.base.steps} steps"
    if not causes:
        text = f"Healthy: the loss went {went} and nothing was found that must change."
        if evidence.is_silent:
            text += " It hardly fell: the run may have nothing left to learn."
        return text
    first = causes[0]
    if first.name == UNKNOWN:
        return first.explanation
    where = f" at {said_site(first.site)}" if first.site else ""
    meaning = CAUSES[first.name].meaning if first.name in CAUSES else ""
    known = "proven" if first.proven else f"not proven, confidence {first.confidence:.0%}"
    return f"The cause is {first.name}{where} ({known}). {meaning}"


def _proof(evidence: Evidence, causes: Sequence[Cause], trials: Sequence[Trial]) -> str:
    """How it is known: the change, what it did, and what the placebo did."""
    if not causes or causes[0].name == UNKNOWN:
        return ""
    by_name = {trial.name: trial for trial in trials}
    first = next(one for one in opinions(evidence) if one.suspect.name == causes[0].name)
    name = first.proof or first.best
    if name is None or name not in by_name:
        return "No change that was tried restored training by itself." if trials else ""
    trial = by_name[name]
    if name == RERUN:
        return "The same steps from the same state were run again without any change, and it did not recur."
    text = f"With one change ({trial.change}) the same run is healthy: {trial.outcome}."
    if first.proof and PLACEBO in by_name and not by_name[PLACEBO].healthy:
        return f"{text} Another seed alone did not help: {by_name[PLACEBO].outcome}."
    return text
