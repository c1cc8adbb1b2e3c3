"""What a tool under comparison is: attached to a program, told of every step, asked at the end.

A tool speaks its own words; each adapter says which root causes a statement of the tool can be
read as, generously: every cause that a reader of the message would look into.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.scoring import Said


class Judge:
    """Attaches to a program in its constructor, by the ways its documentation tells."""

    name: ClassVar[str]
    package: ClassVar[str | None] = None
    """The distribution it comes from; None for torch itself and the textbook."""
    what: ClassVar[str]

    def __init__(self, program: Program) -> None:
        self.program = program
        self.step = 0

    def before_update(self, loss: float) -> None:
        """Gradients are there, as they are handed to the optimizer."""

    def after_update(self, loss: float) -> None:
        """The optimizer has stepped."""

    def raised(self, error: Exception) -> Said | None:
        """What the tool said by an exception; None where it was not the tool's."""
        return None

    def said(self) -> list[Said]:
        """Everything it said, what it puts first first."""
        return []

    def ranked(self, said: Sequence[Said]) -> list[str]:
        """The causes it puts forward, best first."""
        return list(dict.fromkeys(cause for one in said for cause in one.causes))

    def close(self) -> None:
        """Nothing of it is left on the program."""


def alarm(
    rule: str,
    step: int,
    causes: tuple[str, ...],
    *,
    site: str | None = None,
    severity: Severity = Severity.WARNING,
) -> Said:
    """A statement that asks somebody to look."""
    return Said(rule=rule, step=step, severity=int(severity), site=site, causes=causes)


VANISHING = ("vanishing-gradient", "init-too-small", "missing-residual", "missing-norm")
EXPLODING = ("exploding-gradient", "lr-too-high", "missing-grad-clip", "init-too-large")
DEAD = ("dying-relu", "lr-too-high", "saturated-activation")
STILL = ("frozen-params", "params-not-in-optimizer", "lr-too-low", "detached-graph")
