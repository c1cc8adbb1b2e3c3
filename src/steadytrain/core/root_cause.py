"""What a root cause's file says: what points to it, which change proves it, how to repair it.

One file of `causes/` is one cause; its name is the file's (`lr_too_high.py` -> `lr-too-high`) and
must be a name of `core.causes`. The file ends in its declaration:

    CAUSE = root_cause(
        __name__,
        __doc__,
        nominations={"divergence": 0.8, "update-ratio-too-large": 0.6},
        proofs=("lr-tenth", "lr-hundredth"),
        refutations=("clear-gradients",),
        fix="Lower the learning rate of {site} ...",
    )

Other packages add causes by the entry-point group `steadytrain.causes`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from steadytrain.core.causes import cause_named
from steadytrain.core.discovery import modules
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.rule import read_sections

SECTIONS: Final = (
    "What it is",
    "How it shows",
    "What proves it",
    "What refutes it",
    "The fix",
    "Source",
)
"""Headings that every cause's documentation has, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCause:
    """A cause as the doctor uses it; plain data, without torch."""

    name: str
    code: str
    summary: str
    sections: Mapping[str, str] = field(repr=False)
    nominations: Mapping[str, float]
    """How strongly a finding points here, 0 to 1, by the name of its rule, check or lint check.

    It refines what the finding itself nominates: a finding that lists the cause, but whose rule
    has no entry here, counts by its place in the list.
    """
    proofs: tuple[str, ...]
    """Changes any of which alone restores training if this is the cause; smallest first."""
    refutations: tuple[str, ...] = ()
    """Changes that restore training only if another cause is the right one."""
    fix: str
    """What to edit, in the user's own code; `{site}` is replaced by the place."""
    unprovable: str = ""
    """Why no change can prove it; empty where `proofs` are given."""


def root_cause(
    module: str,
    doc: str | None,
    *,
    nominations: Mapping[str, float],
    proofs: tuple[str, ...],
    fix: str,
    refutations: tuple[str, ...] = (),
    unprovable: str = "",
) -> RootCause:
    """The cause of a file.

    Raises:
        UnknownNameError: the file's name is not in the vocabulary of causes.
        UsageError: a section is missing, a weight is outside 0 to 1, or there is neither a change
            that proves it nor a reason why there is none.
    """
    known = cause_named(module.rpartition(".")[2].replace("_", "-"))
    summary, sections = read_sections(doc or "")
    missing = [title for title in SECTIONS if not sections.get(title, "").strip()]
    if missing:
        msg = f"cause {known.name!r}: its docstring has no section {', '.join(missing)}."
        raise UsageError(f"{msg} Expected: {', '.join(SECTIONS)}, each after '## '.")
    for rule, weight in nominations.items():
        if not 0 < weight <= 1:
            msg = f"cause {known.name!r}: {rule} nominates it with {weight}"
            raise UsageError(f"{msg}, expected a weight above 0 and up to 1.")
    if bool(proofs) == bool(unprovable):
        msg = f"cause {known.name!r} has {len(proofs)} proofs and unprovable={unprovable!r}"
        raise UsageError(f"{msg}, expected either proofs or the reason why there are none.")
    return RootCause(
        name=known.name,
        code=known.code,
        summary=summary,
        sections=sections,
        nominations=dict(nominations),
        proofs=proofs,
        refutations=refutations,
        fix=fix,
        unprovable=unprovable,
    )


@cache
def known_root_causes() -> dict[str, RootCause]:
    """Every cause that has a file or comes from an entry point, by name.

    One of another package that cannot be loaded is warned of once and never hides ours.
    """
    found = {
        one.name: one
        for module in modules("steadytrain.causes")
        if isinstance(one := getattr(module, "CAUSE", None), RootCause)
    }
    for point in entry_points(group="steadytrain.causes"):
        try:
            one = point.load()
        except Exception as error:  # the one boundary to other packages
            msg = f"the cause {point.name!r} of another package cannot be loaded"
            warnings.warn(f"{msg}: {type(error).__name__}: {error}.", stacklevel=2)
            continue
        if isinstance(one, RootCause):
            found.setdefault(one.name, one)
    return found


def root_cause_named(name: str) -> RootCause:
    """The cause of that name.

    Raises:
        UnknownNameError: none has a file.
    """
    try:
        return known_root_causes()[name]
    except KeyError:
        raise UnknownNameError.build("cause", name, known_root_causes()) from None
