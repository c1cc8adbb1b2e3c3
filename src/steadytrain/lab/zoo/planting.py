"""What a planted fault and a healthy control are: one file each, documented, found by folder.

A fault changes a healthy program of the zoo so that it has one root cause; without the change it
is the fault's twin. A control is a healthy program that looks suspicious to a careless rule.

    FAULT = fault(__name__, __doc__, cause="missing-zero-grad", on=("mlp", "gpt"), plant=plant)
    CONTROL = control(__name__, __doc__, on=("mlp",), make=make)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from steadytrain.core.causes import CAUSES
from steadytrain.core.discovery import modules
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.program import Program
from steadytrain.core.rule import read_sections
from steadytrain.lab.zoo.case import ARCHITECTURES, Case, Parts, parts_of

Seen = Literal["training", "preflight", "lint", "ranks"]
"""Where a fault can be seen at all: while it trains, before step 0, in the source, over ranks."""

FAULT_SECTIONS: Final = ("What is wrong", "Remedy", "Source")
CONTROL_SECTIONS: Final = ("What it looks like", "Why it is healthy", "Source")

Change = Callable[[Parts], None]


def unchanged(parts: Parts) -> None:
    """The healthy program stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A root cause as a change to a healthy program."""

    name: str
    cause: str
    also: tuple[str, ...]
    """Other causes that name the same change rightly."""
    summary: str
    sections: dict[str, str]
    on: tuple[str, ...]
    plant: Change
    prepare: Change
    """Applied to the faulty program and to its twin, where the fault needs another setting."""
    sites: Callable[[Parts], tuple[str, ...]] | None
    """Module or parameter paths any of which names the place; None where it has none."""
    onset: int
    """Step from which on the fault can show."""
    steps: int
    seen: frozenset[Seen]
    is_sudden: bool
    """Whether it shows at once after the onset; a slow one builds up over the run."""

    def program(self, case: Case) -> Program:
        """The program that has the fault."""
        parts = parts_of(case)
        self.prepare(parts)
        self.plant(parts)
        return parts.program()

    def twin(self, case: Case) -> Program:
        """The same program without it."""
        parts = parts_of(case)
        self.prepare(parts)
        return parts.program()

    def is_held_out(self, architecture: str) -> bool:
        """Whether nobody looks at that architecture while limits are chosen: the last of several."""
        return len(self.on) > 1 and architecture == self.on[-1]

    def places(self, case: Case) -> tuple[str, ...]:
        """Where the fault is, by module or parameter path; empty where it has no place."""
        if self.sites is None:
            return ()
        parts = parts_of(case)
        self.prepare(parts)
        return self.sites(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A healthy program that looks suspicious."""

    name: str
    summary: str
    sections: dict[str, str]
    on: tuple[str, ...]
    make: Change
    steps: int

    def is_held_out(self, architecture: str) -> bool:
        """Whether nobody looks at that architecture while limits are chosen: the last of several."""
        return len(self.on) > 1 and architecture == self.on[-1]

    def program(self, case: Case) -> Program:
        """The program."""
        parts = parts_of(case)
        self.make(parts)
        return parts.program()


def fault(
    module: str,
    doc: str | None,
    *,
    cause: str,
    on: tuple[str, ...],
    plant: Change,
    prepare: Change = unchanged,
    also: tuple[str, ...] = (),
    sites: Callable[[Parts], tuple[str, ...]] | None = None,
    onset: int = 0,
    steps: int = 200,
    seen: tuple[Seen, ...] = ("training",),
    is_sudden: bool = True,
) -> Fault:
    """The fault of a file.

    Raises:
        UsageError: a section is missing, or no architecture is named.
        UnknownNameError: a cause or an architecture is not in its vocabulary.
    """
    summary, sections = _documented(module, doc, FAULT_SECTIONS)
    for name in (cause, *also):
        if name not in CAUSES:
            raise UnknownNameError.build("root cause", name, CAUSES)
    _check_architectures(module, on)
    return Fault(
        name=_name(module),
        cause=cause,
        also=also,
        summary=summary,
        sections=sections,
        on=on,
        plant=plant,
        prepare=prepare,
        sites=sites,
        onset=onset,
        steps=steps,
        seen=frozenset(seen),
        is_sudden=is_sudden,
    )


def control(
    module: str, doc: str | None, *, on: tuple[str, ...], make: Change, steps: int = 200
) -> Control:
    """The control of a file.

    Raises:
        UsageError: a section is missing, or no architecture is named.
        UnknownNameError: an architecture is not in the zoo.
    """
    summary, sections = _documented(module, doc, CONTROL_SECTIONS)
    _check_architectures(module, on)
    return Control(
        name=_name(module), summary=summary, sections=sections, on=on, make=make, steps=steps
    )


@cache
def known_faults() -> dict[str, Fault]:
    """Every fault in the folder, by name."""
    return {one.name: one for one in _found("steadytrain.lab.faults") if isinstance(one, Fault)}


@cache
def known_controls() -> dict[str, Control]:
    """Every control in the folder, by name."""
    found = _found("steadytrain.lab.controls")
    return {one.name: one for one in found if isinstance(one, Control)}


@cache
def twin_of(name: str, architecture: str) -> tuple[str, str]:
    """The fault whose twin stands for that of `name`, and the architecture.

    Faults that prepare the program alike have one twin. The longest stands for it, of those on
    whose architecture limits may be chosen: what was looked at is not called only scored.
    """
    prepare, known = known_faults()[name].prepare, known_faults().values()
    sharing = [
        one
        for one in known
        if one.prepare is prepare and architecture in one.on and "training" in one.seen
    ]
    fitting = sharing or [known_faults()[name]]
    best = min(fitting, key=lambda one: (one.is_held_out(architecture), -one.steps, one.name))
    return best.name, architecture


def _found(package: str) -> Iterator[object]:
    for module in modules(package):
        yield getattr(module, "FAULT", None) or getattr(module, "CONTROL", None)


def _name(module: str) -> str:
    return module.rpartition(".")[2].replace("_", "-")


def _documented(
    module: str, doc: str | None, wanted: tuple[str, ...]
) -> tuple[str, dict[str, str]]:
    summary, sections = read_sections(doc or "")
    missing = [heading for heading in wanted if not sections.get(heading, "").strip()]
    if missing:
        msg = f"{_name(module)!r}: its docstring has no section {', '.join(missing)}."
        raise UsageError(f"{msg} Expected: {', '.join(wanted)}, each after '## '.")
    return summary, sections


def _check_architectures(module: str, on: tuple[str, ...]) -> None:
    if not on:
        msg = f"{_name(module)!r} names no architecture: expected some of"
        raise UsageError(f"{msg} {', '.join(ARCHITECTURES)}.")
    for name in on:
        if name not in ARCHITECTURES:
            raise UnknownNameError.build("architecture", name, ARCHITECTURES)
