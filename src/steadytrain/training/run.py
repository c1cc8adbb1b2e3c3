"""What a training run leaves behind, as one object."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from steadytrain.core.action import Event
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.core.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The outcome of `st.train`."""

    history: History
    """The measurements of this call; of an unwatched run the losses and the validation."""
    events: list[Event]
    metrics: dict[str, float]
    """`loss` (of the last step, NaN if it was NaN), `steps` (finished in all), `seconds`,
    `steps_per_second`, `validation_metric` where there is a `metric_fn`, and of a resumed run
    `repeated_steps`: those that were logged before and came out the same."""
    run_dir: Path | None
    program: Program
    """The trained program: the one that was given."""
    interrupted: bool = False
    """Whether Ctrl-C or the guard ended it before the steps asked for; the last event says which."""
    _findings: list[Finding] = field(default_factory=list[Finding], repr=False)

    def __str__(self) -> str:
        loss = self.metrics.get("loss")
        parts = [f"{self.metrics.get('steps', 0):.0f} steps"]
        parts += ["interrupted"] if self.interrupted else []
        parts += [] if loss is None else [f"loss {loss:.4g}"]
        parts += [f"{len(self._findings)} findings", f"{len(self.events)} events"]
        parts += [] if self.run_dir is None else [f"kept in {self.run_dir}"]
        return ", ".join(parts)

    def findings(self) -> list[Finding]:
        """What the rules saw, in order of step."""
        return list(self._findings)
