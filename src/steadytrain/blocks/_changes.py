"""What an initialisation scheme did to a model, one line per module, and how schemes are found.

A file that knows a scheme has a table `SCHEMES = {"name": function}`; the function takes a model,
initialises it in place and returns its changes. `initialization.initialize` finds it by folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was done to one module or parameter, and why."""

    path: str
    """Module or parameter path; "" for the model itself."""
    what: str
    """What it is now: "normal, std 0.02"."""
    why: str
    """The reason, in a few words: "projection into the residual stream, 12 layers"."""


Scheme = Callable[[nn.Module], list[Change]]
"""Initialises a model in place."""


def listing(changes: Iterable[Change]) -> str:
    """The changes as lines of text, one per module."""
    return "\n".join(f"{one.path or '(model)'}: {one.what} ({one.why})" for one in changes)
