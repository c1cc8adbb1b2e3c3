"""Which modules a user's function reaches by itself: in its closure, its globals, its defaults.

What it carries as an object (the `self` of a method, the arguments of a `partial`) is copied
with the program and does not count.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any, Final

from torch import nn

_DEPTH: Final = 4
_WIDTH: Final = 256
_READS: Final = ("LOAD_GLOBAL", "LOAD_NAME")


def modules_reached(functions: Iterable[Any]) -> dict[nn.Module, str]:
    """The modules that the functions read from outside, with the names they read them by."""
    found: dict[nn.Module, str] = {}
    seen: set[int] = set()
    for function in functions:
        plain = _plain(function)
        for name, value in _variables(plain) if plain is not None else ():
            _walk(value, name, _DEPTH, seen, found)
    return found


def _plain(value: Any) -> Any:
    """The function of Python behind a partial, a method or an object that is called."""
    while isinstance(value, functools.partial):
        value = value.func
    value = getattr(value, "__func__", value)
    if not inspect.isfunction(value) and not isinstance(value, nn.Module | type):
        value = inspect.getattr_static(type(value), "__call__", None)
    return value if inspect.isfunction(value) else None


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
        yield from ((str(key), one) for key, one in list(value.items())[:_WIDTH])
    elif isinstance(value, list | tuple):
        yield from ((str(index), one) for index, one in enumerate(value[:_WIDTH]))
    elif not isinstance(value, type) and not inspect.ismodule(value) and hasattr(value, "__dict__"):
        yield from list(vars(value).items())[:_WIDTH]


def _variables(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function finds outside of itself, by name."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a cell that is not filled yet
            continue
    for name in _globals_read(function.__code__):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(names[len(names) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _globals_read(code: CodeType) -> set[str]:
    """Names that the code, or a function inside of it, reads from its module."""
    names = {str(one.argval) for one in dis.get_instructions(code) if one.opname in _READS}
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return names.union(*(_globals_read(one) for one in inner))
