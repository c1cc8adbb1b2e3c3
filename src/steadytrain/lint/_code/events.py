"""What happens in a training loop, in the order in which it happens."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

from steadytrain.lint._code.places import Path, compatible
from steadytrain.lint._code.values import Frame


@dataclass(slots=True, frozen=True, eq=False)
class Loop:
    """One loop as it is passed through once, or the body of a function called in a loop."""

    node: ast.AST
    frame: Frame
    path: Path
    outer: Loop | None


@dataclass(slots=True, frozen=True, eq=False)
class Event:
    """One thing that happens to gradients, weights or modes.

    `kind` is one of zero, backward, clip, unscale, step, schedule, update, train, eval, forward,
    grad (gradients are read or written by hand) and unknown (code that cannot be seen gets the
    optimizer, or everything).
    """

    kind: str
    node: ast.AST
    frame: Frame
    place: int
    target: str = ""
    """Key of the optimizer, model or scheduler; empty where unknown or for all."""
    path: Path = frozenset()
    loop: Loop | None = None
    scaled: str = ""
    """Key of the scaler that scaled the loss of a backward, or that takes the step."""
    owner: str = ""
    """accelerator, fabric, engine, module (Lightning's) where one of them acts; else empty."""
    no_grad: bool = False
    autocast: bool = False

    def in_loop(self, loop: Loop) -> bool:
        """Whether it happens in `loop` or in a loop inside it."""
        one = self.loop
        while one is not None and one is not loop:
            one = one.outer
        return one is loop

    def meets(self, other: Event) -> bool:
        """Whether both can happen in one pass."""
        return compatible(self.path, other.path)


@dataclass(slots=True, frozen=True, eq=False)
class Trace:
    """All events of one entry point, calls within the file followed, in order."""

    root: Frame
    events: list[Event]
    loops: list[Loop]

    def inside(self, loop: Loop) -> list[Event]:
        """The events of `loop`, those of loops in it included."""
        return [event for event in self.events if event.in_loop(loop)]


MAX_EVENTS: Final = 3000
MAX_CALLS: Final = 6
"""Calls within calls that are followed."""
