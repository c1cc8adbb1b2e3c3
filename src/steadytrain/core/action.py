"""What may be done to a run, and the record that it was done, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, Literal, get_args

from steadytrain.core.errors import UnknownNameError
from steadytrain.core.finding import Evidence, as_list, plain

EventKind = Literal["skip", "clip", "rollback", "lr-cut", "reset-moments", "stop", "resume"]


class Applicability(IntEnum):
    """Who may pull the trigger: nobody but a person, a person who asked for it, or the guard."""

    ADVICE = 0
    OPT_IN = 1
    AUTOMATIC = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A change to the run; subclasses say which."""

    kind: ClassVar[EventKind]
    reason: str
    applicability: Applicability = Applicability.ADVICE

    def to_json(self) -> dict[str, Any]:
        """The action as JSON's own types."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip(Action):
    """Leave the step without any trace."""

    kind: ClassVar[EventKind] = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip(Action):
    """Scale this step's gradients down to `max_norm`."""

    kind: ClassVar[EventKind] = "clip"
    max_norm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Action):
    """Restore the snapshot of `to_step`; with `drop_batches` the data in between is passed over."""

    kind: ClassVar[EventKind] = "rollback"
    to_step: int
    drop_batches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleLR(Action):
    """Multiply every learning rate by `factor` and ramp it up again over `warmup_steps`."""

    kind: ClassVar[EventKind] = "lr-cut"
    factor: float
    warmup_steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Action):
    """End the run with the evidence on disk."""

    kind: ClassVar[EventKind] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What was done to a run, when and why."""

    step: int
    kind: EventKind
    reason: str
    evidence: Mapping[str, Evidence] = field(default_factory=dict[str, Evidence])

    def __post_init__(self) -> None:
        if self.kind not in get_args(EventKind):
            raise UnknownNameError.build("event kind", self.kind, get_args(EventKind))
        object.__setattr__(self, "evidence", {k: plain(v) for k, v in self.evidence.items()})

    def to_json(self) -> dict[str, Any]:
        """The event as JSON's own types."""
        evidence = {name: as_list(value) for name, value in self.evidence.items()}
        return {
            "step": self.step,
            "kind": self.kind,
            "reason": self.reason,
            "evidence": evidence,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Event:
        """The event that `to_json` wrote."""
        return cls(
            step=int(data["step"]),
            kind=data["kind"],
            reason=str(data["reason"]),
            evidence=dict(data.get("evidence", {})),
        )
