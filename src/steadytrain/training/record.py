"""Where the loop's numbers go: to the watch, or to a bare record where nothing is watched."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import torch

from steadytrain.core.action import Event
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.core.program import Program
from steadytrain.core.rule import Rule
from steadytrain.engine import judge


class Record(Protocol):
    """What the loop asks of the watch."""

    @property
    def history(self) -> History: ...

    def clip_grad_norm_(self, max_norm: float, *, parameters: Any = None) -> torch.Tensor:
        """The gradients are clipped; returns the norm before."""
        ...

    def look_at_loss(self, loss: torch.Tensor) -> None:
        """What the loss is made of may be noted."""
        ...

    def log(self, **values: Any) -> None:
        """The values belong to the step that was finished last."""
        ...

    def add_event(self, event: Event) -> None:
        """The event is part of the run."""
        ...

    def flush(self) -> None:
        """What was measured so far is in the history."""
        ...

    def findings(self) -> list[Finding]:
        """What the rules see."""
        ...

    def close(self) -> None:
        """Nothing more will come, and nothing is left behind."""
        ...


class BareRecord:
    """The loss and the validation of an unwatched run, in memory only.

    Args:
        program: its finished steps number the rows.
        first_row: the row of its next step.
        rules: what `findings` judges with; every known one if None.
        flush_every: steps between two transfers to the host.

    Cost: the losses stay on their device and cross to the host together, every `flush_every`.
    """

    def __init__(
        self,
        program: Program,
        first_row: int,
        rules: Sequence[Rule] | None = None,
        flush_every: int = 10,
    ) -> None:
        self.history = History(capacity=None)
        self._program = program
        self._offset = first_row - program.step - 1
        self._rules = rules
        self._flush_every = flush_every
        self._losses: list[tuple[int, torch.Tensor]] = []

    def clip_grad_norm_(self, max_norm: float, *, parameters: Any = None) -> torch.Tensor:
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm)

    def look_at_loss(self, loss: torch.Tensor) -> None:
        """No rule reads it of an unwatched run."""

    def log(self, **values: Any) -> None:
        step = max(0, self._program.step + self._offset)
        for stat, value in values.items():
            if stat == "loss":
                self._losses.append((step, value))
            else:
                self.history.append(step, stat, float(value))
        if len(self._losses) >= self._flush_every:
            self.flush()

    def go_back(self, num_steps: int) -> None:
        """The program's finished steps are fewer; rows go on being counted."""
        self._offset += num_steps

    def add_event(self, event: Event) -> None:
        """The loop keeps the events itself; there is no run directory to write them to."""

    def flush(self) -> None:
        if not self._losses:
            return
        steps, losses = zip(*self._losses, strict=True)
        self._losses = []
        values = torch.stack([loss.double() for loss in losses]).cpu()
        for step, value, finite in zip(steps, values.tolist(), values.isfinite(), strict=True):
            self.history.append(step, "loss_num_nonfinite", float(not finite))
            if finite:
                self.history.append(step, "loss", value)

    def findings(self) -> list[Finding]:
        return judge(self.history, self._rules)

    def close(self) -> None:
        with suppress(RuntimeError):  # a broken device takes the last losses with it
            self.flush()
