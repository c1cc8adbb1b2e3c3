"""Causes, the trials that prove them, and the diagnosis they make, as plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steadytrain.core.answer import Answer
from steadytrain.core.errors import UsageError
from steadytrain.core.finding import Evidence, Finding, as_list, plain
from steadytrain.core.program import Program

Fixer = Callable[[Program], Program]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One re-run from a snapshot with exactly one change."""

    change: str
    """What was changed, as a person would say it: `learning rate x 1/10`."""
    healthy: bool
    outcome: str
    numbers: Mapping[str, Evidence] = field(default_factory=dict[str, Evidence])
    name: str = ""
    """The change's name in code: `lr-tenth`."""
    steps: int = 0
    """Optimizer steps that were run."""
    losses: tuple[float | None, ...] = ()
    """The loss over these steps, thinned out evenly; None where it was not finite."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", {k: plain(v) for k, v in self.numbers.items()})
        finite = (None if v is None or not math.isfinite(v) else float(v) for v in self.losses)
        object.__setattr__(self, "losses", tuple(finite))

    def to_json(self) -> dict[str, Any]:
        """The trial as JSON's own types."""
        numbers = {name: as_list(value) for name, value in self.numbers.items()}
        return {
            "change": self.change,
            "healthy": self.healthy,
            "outcome": self.outcome,
            "numbers": numbers,
            "name": self.name,
            "steps": self.steps,
            "losses": list(self.losses),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """The trial that `to_json` wrote."""
        return cls(
            change=str(data["change"]),
            healthy=bool(data["healthy"]),
            outcome=str(data["outcome"]),
            numbers=dict(data.get("numbers", {})),
            name=str(data.get("name", "")),
            steps=int(data.get("steps", 0)),
            losses=tuple(data.get("losses", ())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A ranked explanation of what was found."""

    name: str
    code: str
    site: str | None = None
    step: int = 0
    confidence: float = 0.0
    """0 to 1."""
    proven: bool = False
    """A trial with this cause's change alone restored health, and the placebo did not."""
    findings: tuple[Finding, ...] = ()
    trials: tuple[Trial, ...] = ()
    fix: str = ""
    explanation: str = ""

    def __str__(self) -> str:
        place = f" at {self.site}" if self.site else ""
        standing = "proven" if self.proven else f"not proven, confidence {self.confidence:.0%}"
        return f"{self.name} ({self.code}){place}: {standing}"

    def to_json(self) -> dict[str, Any]:
        """The cause as JSON's own types."""
        return {
            "name": self.name,
            "code": self.code,
            "site": self.site,
            "step": self.step,
            "confidence": self.confidence,
            "proven": self.proven,
            "findings": [finding.to_json() for finding in self.findings],
            "trials": [trial.to_json() for trial in self.trials],
            "fix": self.fix,
            "explanation": self.explanation,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cause:
        """The cause that `to_json` wrote."""
        return cls(
            name=str(data["name"]),
            code=str(data["code"]),
            site=data.get("site"),
            step=int(data["step"]),
            confidence=float(data["confidence"]),
            proven=bool(data["proven"]),
            findings=tuple(Finding.from_json(item) for item in data.get("findings", ())),
            trials=tuple(Trial.from_json(item) for item in data.get("trials", ())),
            fix=str(data.get("fix", "")),
            explanation=str(data.get("explanation", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found about a program, and why."""

    causes: tuple[Cause, ...] = ()
    """Best explanation first."""
    findings: Sequence[Finding] = ()
    """A list, as `watch.findings()` is."""
    trials: tuple[Trial, ...] = ()
    answers: tuple[Answer, ...] = ()
    """What each preflight check said, in the order of the ten steps."""
    summary: str = ""
    cost: float = 0.0
    """Steps of all runs together, over those of the observed run."""
    fixer: Fixer | None = field(default=None, repr=False, compare=False)
    """Makes the best cause's change on a program; not part of the JSON."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", list(self.findings))

    def __str__(self) -> str:
        lines = [self.summary or ("Healthy." if self.healthy else "")]
        for place, cause in enumerate(self.causes, 1):
            lines.append(f"{place}. {cause}")
            lines += [f"   {cause.fix}"] if cause.fix else []
        return "\n".join(line for line in lines if line)

    @property
    def healthy(self) -> bool:
        """Whether nothing was found that a person must change."""
        return not self.causes

    def apply_fix(self, program: Program) -> Program:
        """A new program with the best cause's change made on it; the old one is untouched.

        Raises:
            UsageError: nothing is to be fixed, no change that could is known, or the diagnosis
                was read from JSON, which carries no program code.
        """
        if self.healthy:
            raise UsageError("the diagnosis is healthy: there is nothing to fix.")
        if self.fixer is None:
            msg = f"no change of a program is known to repair {self.causes[0].name!r}"
            remedy = f"do it by hand: {self.causes[0].fix or 'see `steadytrain explain`'}"
            raise UsageError(f"{msg} here, or the diagnosis was read from JSON: {remedy}")
        return self.fixer(program)

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as JSON's own types."""
        return {
            "healthy": self.healthy,
            "causes": [cause.to_json() for cause in self.causes],
            "findings": [finding.to_json() for finding in self.findings],
            "trials": [trial.to_json() for trial in self.trials],
            "answers": [answer.to_json() for answer in self.answers],
            "summary": self.summary,
            "cost": self.cost,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Diagnosis:
        """The diagnosis that `to_json` wrote."""
        return cls(
            causes=tuple(Cause.from_json(item) for item in data.get("causes", ())),
            findings=tuple(Finding.from_json(item) for item in data.get("findings", ())),
            trials=tuple(Trial.from_json(item) for item in data.get("trials", ())),
            answers=tuple(Answer.from_json(item) for item in data.get("answers", ())),
            summary=str(data.get("summary", "")),
            cost=float(data.get("cost", 0.0)),
        )
