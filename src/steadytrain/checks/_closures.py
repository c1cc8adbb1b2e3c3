"""Which modules a user's function can reach without being given them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

_DEPTH = 4


def modules_reached(functions: Iterable[Any]) -> dict[nn.Module, str]:
    """The modules in the functions' closures, globals, defaults and objects, with their names."""
    found: dict[nn.Module, str] = {}
    seen: set[int] = set()
    for function in functions:
        _walk(function, "", _DEPTH, seen, found)
    return found


def _walk(value: Any, name: str, depth: int, seen: set[int], found: dict[nn.Module, str]) -> None:
    if value is None or depth < 0 or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, nn.Module):
        found.setdefault(value, name)
        return
    for label, inner in _reached(value):
        _walk(inner, label, depth - 1, seen, found)


def _reached(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, functools.partial):
        yield from [("func", value.func), *value.keywords.items()]
        yield from (("argument", one) for one in value.args)
    elif inspect.ismethod(value):
        yield from [("self", value.__self__), ("function", value.__func__)]
    elif inspect.isfunction(value):
        yield from _variables(value)
    elif isinstance(value, dict):
        yield from ((str(key), one) for key, one in list(value.items())[:256])
    elif isinstance(value, list | tuple):
        yield from ((str(index), one) for index, one in enumerate(value[:256]))
    elif not isinstance(value, type) and hasattr(value, "__dict__") and not inspect.ismodule(value):
        yield from list(vars(value).items())[:256]


def _variables(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function finds outside of itself, by name."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a cell that is not filled yet
            continue
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield name, function.__globals__[name]
    yield from zip(function.__code__.co_varnames, function.__defaults__ or (), strict=False)
    yield from (function.__kwdefaults__ or {}).items()
