"""What a technique of prevention is: a documented file of `blocks/` or `optim/`.

The file's docstring has the sections below, and the file ends in its declaration:

    TECHNIQUE = technique(__name__, __doc__, exports=("RMSNorm",), samples=(Sample(...),))

*Helps against* names root causes of `core.causes` in backquotes. The samples are what the
contract suite runs; the pages of the documentation and `steadytrain explain` are made from it.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from steadytrain.core.causes import CAUSES
from steadytrain.core.discovery import modules
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.rule import read_sections

SECTIONS: Final = ("Formula", "Shape", "Dtype", "Cost", "Source", "Helps against")
"""Headings that every technique's documentation has, in this order."""

ROOMS: Final = ("steadytrain.blocks", "steadytrain.optim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One use of a technique, which the contract suite runs."""

    build: Callable[[], Callable[..., Any]]
    """Makes a module, or a function of tensors that returns one tensor (or a tuple of them)."""
    inputs: Callable[[], tuple[Any, ...]]
    """The arguments; floating tensors among them are cast to each dtype and differentiated."""
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float16")
    compiles: bool = True
    """Whether `torch.compile(fullgraph=True)` takes it."""
    double_backward: bool = False
    """Whether gradients of its gradients are promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """What is known about a technique without using it."""

    name: str
    room: str
    """The package its file is in: `steadytrain.blocks` or `steadytrain.optim`."""
    summary: str
    sections: dict[str, str]
    exports: tuple[str, ...]
    """The public names it adds to its package."""
    causes: tuple[str, ...]
    """Root causes it helps against."""
    samples: tuple[Sample, ...]


def technique(
    module: str, doc: str | None, *, exports: tuple[str, ...], samples: tuple[Sample, ...] = ()
) -> Technique:
    """The technique of a file, from its module's name and docstring.

    Raises:
        UsageError: a section is missing or empty.
        UnknownNameError: *Helps against* names something that is no root cause.
    """
    room, _, file = module.rpartition(".")
    summary, sections = read_sections(doc or "")
    missing = [heading for heading in SECTIONS if not sections.get(heading, "").strip()]
    if missing:
        msg = f"technique {file!r}: its docstring has no section {', '.join(missing)}."
        raise UsageError(f"{msg} Expected: {', '.join(SECTIONS)}, each after '## '.")
    causes = tuple(re.findall(r"`([^`]+)`", sections["Helps against"]))
    for cause in causes:
        if cause not in CAUSES:
            raise UnknownNameError.build("root cause", cause, CAUSES)
    return Technique(
        name=file.replace("_", "-"),
        room=room,
        summary=summary,
        sections=sections,
        exports=exports,
        causes=causes,
        samples=samples,
    )


@cache
def technique_files() -> dict[str, str]:
    """The module behind every name that a technique answers to, without importing torch.

    A technique answers to its own name and to each public name of its file.
    """
    files: dict[str, str] = {}
    for room in ROOMS:
        package = importlib.import_module(room)
        for info in pkgutil.iter_modules(package.__path__):
            if not info.name.startswith("_"):
                files[info.name.replace("_", "-")] = f"{room}.{info.name}"
        homes: dict[str, str] = package._HOMES
        files |= {name: f"{room}.{file}" for name, file in homes.items()}
    return files


def find_technique(name: str) -> Technique | None:
    """The technique that answers to `name`, or None. Imports torch when there is one."""
    files = technique_files()
    module = files.get(name) or files.get(name.replace("_", "-"))
    found = None if module is None else getattr(importlib.import_module(module), "TECHNIQUE", None)
    return found if isinstance(found, Technique) else None


@cache
def known_techniques() -> dict[str, Technique]:
    """Every technique in the folders, by name. Imports torch."""
    found = [getattr(m, "TECHNIQUE", None) for room in ROOMS for m in modules(room)]
    return {one.name: one for one in found if isinstance(one, Technique)}
