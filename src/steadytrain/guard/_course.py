"""What a guard knows of a run, and what became of one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from steadytrain.core.errors import UsageError
from steadytrain.guard._rates import Rates
from steadytrain.guard.decide import Ladder
from steadytrain.guard.detect import Detector
from steadytrain.guard.policy import Policy

FORMAT: Final = 1


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

    def state_dict(self) -> dict[str, Any]:
        """All of it that a resumed run needs, as numbers, strings and lists."""
        return {
            "format": FORMAT,
            "step": self.step,
            "num_skipped": self.num_skipped,
            "ladder": self.ladder.to_json(),
            "rates": self.rates.state_dict(),
            "detector": self.detector.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The run goes on where the one that was saved stopped.

        Raises:
            UsageError: the state is not one of `state_dict`; nothing was changed.
        """
        if state.get("format") != FORMAT:
            msg = f"a guard's state has format {FORMAT}, found {state.get('format')!r}"
            raise UsageError(f"{msg}. Pass what Guard.state_dict() of this release returned.")
        ladder = Ladder.from_json(state["ladder"])
        self.detector.load_state_dict(state["detector"])
        self.rates.load_state_dict(state["rates"])
        self.ladder = ladder
        self.step, self.num_skipped = int(state["step"]), int(state["num_skipped"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a step."""

    committed: bool
    """Whether the weights moved."""
    finished: bool
    """Whether it counts as a step: a loss scaler's own skip does."""
    reason: str = ""
