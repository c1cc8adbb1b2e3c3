"""steadytrain finds out why a network will not train, proves it, and keeps it training.

The public face. What needs torch is loaded when it is first used, so that judging a saved run,
the command line and the report start without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steadytrain.core.lazy import lazily

if TYPE_CHECKING:
    from steadytrain.checks import preflight
    from steadytrain.core.action import Event
    from steadytrain.core.diagnosis import Cause, Diagnosis, Trial
    from steadytrain.core.errors import SteadytrainError
    from steadytrain.core.finding import Finding, Severity
    from steadytrain.core.history import History
    from steadytrain.core.program import Program
    from steadytrain.core.rule import rule
    from steadytrain.doctor.diagnosing import diagnose
    from steadytrain.engine import judge, replay
    from steadytrain.guard import Guard
    from steadytrain.recipes.stabilising import stabilise
    from steadytrain.training import Run, train
    from steadytrain.watching import Watch, watch

_HOMES = {
    "Cause": "core.diagnosis",
    "Diagnosis": "core.diagnosis",
    "Event": "core.action",
    "Finding": "core.finding",
    "Guard": "guard",
    "History": "core.history",
    "Program": "core.program",
    "Run": "training",
    "Severity": "core.finding",
    "SteadytrainError": "core.errors",
    "Trial": "core.diagnosis",
    "Watch": "watching",
    "diagnose": "doctor.diagnosing",
    "judge": "engine",
    "preflight": "checks",
    "replay": "engine",
    "rule": "core.rule",
    "stabilise": "recipes.stabilising",
    "train": "training",
    "watch": "watching",
}

__version__ = "0.1.0"

__all__ = [
    "Cause",
    "Diagnosis",
    "Event",
    "Finding",
    "Guard",
    "History",
    "Program",
    "Run",
    "Severity",
    "SteadytrainError",
    "Trial",
    "Watch",
    "diagnose",
    "judge",
    "preflight",
    "replay",
    "rule",
    "stabilise",
    "train",
    "watch",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
