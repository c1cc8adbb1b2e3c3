"""Where a cause sits: what the findings that point to it say of the place."""

from __future__ import annotations

from collections.abc import Sequence

from steadytrain.core.finding import Finding
from steadytrain.core.root_cause import known_root_causes


def site_of(name: str, findings: Sequence[Finding]) -> str | None:
    """The place that the strongest finding with one names; the earliest of equal ones.

    A finding that puts this cause first knows the place better than one that only allows for it.
    """
    cause = known_root_causes().get(name)
    exact = cause.nominations if cause else {}

    def strength(finding: Finding) -> tuple[float, int, int]:
        place = finding.causes.index(name) if name in finding.causes else len(finding.causes)
        weight = exact.get(finding.rule, 0.6**place)
        return (-weight, -int(finding.severity), finding.step)

    placed = [finding for finding in findings if finding.site]
    return min(placed, key=strength).site if placed else None


def said_site(site: str) -> str:
    """The place in a sentence: modules of a `Sequential` have numbers for names."""
    return f"layer {site}" if site[:1].isdigit() else site
