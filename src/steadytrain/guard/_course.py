"""What a guard knows of a run, and what became of one step."""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.guard._rates import Rates
from steadytrain.guard.decide import Ladder, Policy
from steadytrain.guard.detect import Detector


@dataclass(kw_only=True, slots=True)
class Course:
    """What a guard knows of a run, whatever it is attached to; saved with the run."""

    policy: Policy
    detector: Detector
    rates: Rates
    ladder: Ladder
    step: int = 0
    """Finished steps."""
    num_skipped: int = 0
    stopped: str = ""
    """Why the run was stopped; empty while it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a step."""

    committed: bool
    """Whether the weights moved."""
    finished: bool
    """Whether it counts as a step: a loss scaler's own skip does."""
    reason: str = ""
