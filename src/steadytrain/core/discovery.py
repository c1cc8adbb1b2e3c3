"""What stands in a room's folder, and what other packages add to it by entry point."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Something that was found but could not be loaded, and why."""

    name: str
    reason: str


def modules(package: str) -> Iterator[ModuleType]:
    """Every public module in the folder of `package`, in order of name."""
    root = importlib.import_module(package)
    for info in sorted(pkgutil.iter_modules(root.__path__), key=lambda info: info.name):
        if not info.name.startswith("_"):
            yield importlib.import_module(f"{package}.{info.name}")


def marked(package: str, group: str, marker: str) -> tuple[dict[str, object], list[Broken]]:
    """The objects that carry the attribute `marker`, by their name (`rules/a_b.py` -> `a-b`).

    Those of third parties come from the entry-point group `group`; one that cannot be loaded
    never hides the others: it is returned among the broken.
    """
    found: dict[str, object] = {}
    broken: list[Broken] = []
    for module in modules(package):
        for value in vars(module).values():
            if getattr(value, marker, None) is not None and value.__module__ == module.__name__:
                found[getattr(value, marker).name] = value
    for point in entry_points(group=group):
        try:
            value = point.load()
            found.setdefault(getattr(value, marker).name, value)
        except Exception as error:  # the one boundary to other packages: they cannot hide ours
            broken.append(Broken(name=point.name, reason=f"{type(error).__name__}: {error}"))
    return found, broken
