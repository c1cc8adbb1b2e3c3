"""What a change is: one thing done to a copy of a program before it runs again.

A file of `doctor/changes/` declares one, or several of a kind:

    CHANGE = change(__name__, __doc__, text="learning rate x 1/10", size=1, apply=apply)
    CHANGES = (change("lr-tenth", ...), change("lr-hundredth", ...))

`apply(program, scene)` gets a copy that nobody else holds, changes exactly one thing on it in
place or builds another, and returns it; None where the change does not apply to this program, or
would change nothing. `program.batches` may be any re-iterable: wrap it lazily. `program.step_fn`
and `program.loss_fn` may be replaced. An exception means that it does not apply, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from steadytrain.core.discovery import modules
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.program import Program
from steadytrain.doctor.scene import Scene

Size = Literal[1, 2, 3, 4, 5]
"""1 a number, 2 a call in the loop, 3 a function or the data, 4 a layer, 5 another architecture."""

PLACEBO: Final = "other-seed"
"""The change that should change nothing: another order of the data, other random draws."""

RERUN: Final = "run-again"
"""Nothing at all is changed: what does not recur was a fault of the machine."""

REORDERS: Final = "shuffle"
"""The change that does what the placebo does, and no more: another order of the data."""

Apply = Callable[[Program, Scene], Program | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that a trial makes."""

    name: str
    text: str
    """As a person would say it: `learning rate x 1/10`."""
    size: Size
    apply: Apply
    needs_factory: bool = False
    """Whether it builds the program anew, which takes `Program.factory`."""
    summary: str = ""


def change(
    name: str,
    doc: str | None,
    *,
    text: str,
    size: Size,
    apply: Apply,
    needs_factory: bool = False,
) -> Change:
    """The change of that name; a module's dotted name stands for its file (`lr_tenth` -> `lr-tenth`).

    Raises:
        UsageError: the text is empty or the size is none of 1 to 5.
    """
    short = name.rpartition(".")[2].replace("_", "-")
    if not text or size not in (1, 2, 3, 4, 5):
        msg = f"change {short!r} got text {text!r} and size {size!r}"
        raise UsageError(f"{msg}, expected a text a person would say and a size from 1 to 5.")
    summary = (doc or "").strip().partition("\n\n")[0]
    return Change(
        name=short,
        text=text,
        size=size,
        apply=apply,
        needs_factory=needs_factory,
        summary=summary,
    )


@cache
def known_changes() -> dict[str, Change]:
    """Every change in the folder, by name."""
    return {one.name: one for one in _found()}


def change_named(name: str) -> Change:
    """The change of that name.

    Raises:
        UnknownNameError: there is none.
    """
    try:
        return known_changes()[name]
    except KeyError:
        raise UnknownNameError.build("change", name, known_changes()) from None


def _found() -> Iterator[Change]:
    for module in modules("steadytrain.doctor.changes"):
        one = getattr(module, "CHANGE", None)
        if isinstance(one, Change):
            yield one
        yield from (each for each in getattr(module, "CHANGES", ()) if isinstance(each, Change))
