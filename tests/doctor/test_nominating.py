"""Findings nominate causes, and causes the changes to try first."""

from __future__ import annotations

import pytest

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.ranking import LATER
from steadytrain.doctor.nominating import Suspect, changes_to_try, suspects


def finding(*causes: str, step: int = 0, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(
        rule="a-rule", code="A1", severity=severity, step=step, message="m", causes=causes
    )


def weights(*findings: Finding) -> dict[str, float]:
    return {one.name: one.weight for one in suspects(findings)}


def test_the_order_within_a_finding_counts() -> None:
    found = weights(finding("lr-too-high", "missing-warmup"))
    assert list(found) == ["lr-too-high", "missing-warmup"]
    assert found["lr-too-high"] > found["missing-warmup"]


def test_two_findings_of_one_cause_add_up_without_reaching_certainty() -> None:
    one = weights(finding("lr-too-high"))["lr-too-high"]
    two = weights(finding("lr-too-high"), finding("lr-too-high"))["lr-too-high"]
    assert two == pytest.approx(1 - (1 - one) ** 2)


def test_what_comes_later_may_be_a_consequence_and_counts_less() -> None:
    found = weights(finding("bad-batch", step=3), finding("dying-relu", step=90))
    assert found["dying-relu"] == pytest.approx(found["bad-batch"] * LATER)


def test_a_louder_finding_counts_more_and_a_note_hardly() -> None:
    note, warning, critical = (
        weights(finding("lr-too-high", severity=level))["lr-too-high"] for level in Severity
    )
    assert note < warning < critical


def test_nothing_found_nominates_nothing() -> None:
    assert suspects(()) == []
    assert weights(finding("healthy")) == {}


def test_a_second_proof_of_a_strong_suspect_comes_before_the_first_of_a_weak_one() -> None:
    strong = Suspect(name="lr-too-high", weight=0.9)
    weak = Suspect(name="adam-eps", weight=0.1)
    order = changes_to_try([strong, weak])
    assert order[0] == strong.proofs[0]
    assert order.index(strong.proofs[1]) < order.index(weak.proofs[0])
