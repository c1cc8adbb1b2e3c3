"""What one preflight check says of a program, as plain data, and the ten steps it stands in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from steadytrain.core.finding import Finding

Stage = Literal[
    "shapes",
    "outputs",
    "overfit",
    "start",
    "optimizer",
    "architecture",
    "clipping",
    "precision",
    "loop",
    "data",
]

STAGES: Final[dict[Stage, str]] = {
    "shapes": "shapes and dtypes",
    "outputs": "outputs and loss",
    "overfit": "learning from one tiny batch",
    "start": "loss, gradients and activations at the start",
    "optimizer": "optimizer and learning rate",
    "architecture": "initialisation and normalisation",
    "clipping": "clipping",
    "precision": "precision",
    "loop": "training loop and memory",
    "data": "data",
}
"""The ten steps of a careful person, in their order."""

Verdict = Literal["passed", "failed", "not-applicable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one check says of a program, as plain data.

    Example:
        >>> answer = Answer(check="initial-loss", code="LOS205", stage="start", verdict="passed",
        ...                 seen="2.31 against ln 10 = 2.30", number=2.31)
        >>> Answer.from_json(answer.to_json()) == answer
        True
    """

    check: str
    code: str
    stage: Stage
    verdict: Verdict
    seen: str
    """What it saw, in a few words with the number; the reason where it does not apply."""
    number: float | None = None
    """The number it judged by; None where there is none."""
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The answer as JSON's own types."""
        return {
            "check": self.check,
            "code": self.code,
            "stage": self.stage,
            "verdict": self.verdict,
            "seen": self.seen,
            "number": _strict(self.number),
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        """The answer that `to_json` wrote."""
        number = data.get("number")
        return cls(
            check=str(data["check"]),
            code=str(data["code"]),
            stage=data["stage"],
            verdict=data["verdict"],
            seen=str(data["seen"]),
            number=None if number is None else float(number),
            findings=tuple(Finding.from_json(item) for item in data.get("findings", ())),
            seconds=float(data.get("seconds", 0.0)),
        )


def _strict(number: float | None) -> float | str | None:
    return number if number is None or math.isfinite(number) else str(number)
