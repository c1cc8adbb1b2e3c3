"""A rule's statement about a run, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, cast

Evidence = float | int | str | bool | tuple["Evidence", ...]
"""What may stand in a finding's evidence: JSON's scalars and flat lists of them."""


class Severity(IntEnum):
    """How much a finding asks of the reader; ordered."""

    NOTE = 0
    WARNING = 1
    CRITICAL = 2

    @classmethod
    def parse(cls, text: str) -> Severity:
        """The severity written as `text`, in any case.

        Raises:
            UnknownNameError: `text` is none of note, warning, critical.
        """
        from steadytrain.core.errors import UnknownNameError

        try:
            return cls[text.upper()]
        except KeyError:
            raise UnknownNameError.build("severity", text, (s.name.lower() for s in cls)) from None


def plain(value: object) -> Evidence:
    """`value` as JSON can carry it: numpy scalars unwrapped, a NaN or infinity as its name."""
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in cast("tuple[object, ...]", value))
    item = getattr(value, "item", None)
    if item is not None and not isinstance(value, str | bool | int | float):
        value = item()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return value if isinstance(value, str | bool | int) else str(value)


def as_list(value: Evidence) -> Any:
    """`value` with its tuples turned into lists, as JSON reads them back."""
    return [as_list(item) for item in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One statement: what was seen, where, when, with the number and its reference.

    Example:
        >>> finding = Finding(rule="loss-spike", code="DYN001", severity=Severity.WARNING,
        ...                   step=40, site=None, message="The loss jumped.",
        ...                   causes=("bad-batch",), evidence={"loss": 9.5})
        >>> Finding.from_json(finding.to_json()) == finding
        True
    """

    rule: str
    code: str
    severity: Severity
    step: int
    site: str | None = None
    """Module or parameter path the finding is about, or None for the whole run."""
    message: str
    """The number, the reference number, the cause, the remedy: in one or two sentences."""
    causes: tuple[str, ...] = ()
    """Nominated root causes, best first; names of `CAUSES`."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict[str, Evidence])

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", int(self.step))
        object.__setattr__(self, "causes", tuple(self.causes))
        object.__setattr__(self, "evidence", {k: plain(v) for k, v in self.evidence.items()})

    def __str__(self) -> str:
        place = f" at {self.site}" if self.site else ""
        severity = self.severity.name.lower()
        return f"step {self.step}{place}: {severity} {self.rule} ({self.code}): {self.message}"

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON's own types."""
        return {
            "rule": self.rule,
            "code": self.code,
            "severity": self.severity.name.lower(),
            "step": self.step,
            "site": self.site,
            "message": self.message,
            "causes": list(self.causes),
            "evidence": {name: as_list(value) for name, value in self.evidence.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """The finding that `to_json` wrote."""
        return cls(
            rule=str(data["rule"]),
            code=str(data["code"]),
            severity=Severity.parse(str(data["severity"])),
            step=int(data["step"]),
            site=data.get("site"),
            message=str(data["message"]),
            causes=tuple(data.get("causes", ())),
            evidence=dict(data.get("evidence", {})),
        )
