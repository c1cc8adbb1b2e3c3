"""Accumulation windows: loops that take a step only at some microbatches."""

from __future__ import annotations

from typing import Final

from steadytrain.lint._code.events import Event, Loop

_MODULO: Final = "op=Mod()"


def step_condition(loop: Loop, events: list[Event]) -> frozenset[tuple[str, bool]]:
    """The conditions with a modulo under which every step in the loop stands."""
    steps = [event for event in events if event.kind == "step"]
    if not steps:
        return frozenset()
    shared = frozenset.intersection(*(event.path - loop.path for event in steps))
    return frozenset(one for one in shared if _MODULO in one[0])


def is_window(loop: Loop, events: list[Event]) -> bool:
    """Whether gradients are computed at every pass of the loop, but the step is taken at some."""
    condition = step_condition(loop, events)
    if not condition:
        return False
    backward = [event for event in events if event.kind == "backward"]
    steps = [event for event in events if event.kind == "step"]
    # The step must stand in this loop itself: a modulo around an inner loop is another thing.
    return (
        bool(backward)
        and all(event.loop is loop for event in (*backward, *steps))
        and all(not (event.path & condition) for event in backward)
    )
