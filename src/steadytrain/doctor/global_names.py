"""Which global names of a person's own functions lead to what training changes.

A script defines its model, its optimizer and a list of losses at the top of the file, and its
step function finds them by name. A copy of that function must find copies, and so must every
function of the same file that it calls.
"""

from __future__ import annotations

import sysconfig
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

_STATEFUL: Final = (
    torch.nn.Module,
    torch.optim.Optimizer,
    torch.optim.lr_scheduler.LRScheduler,
    torch.amp.GradScaler,
    torch.Tensor,
    torch.Generator,
)


def names_read(function: types.FunctionType) -> dict[str, Any]:
    """The global names that lead to something training may change, and what they stand for.

    Empty for a function of a library, of Python itself or of steadytrain.
    """
    if not is_own(function):
        return {}
    scope = function.__globals__
    found = ((name, scope[name]) for name in _names(function.__code__) if name in scope)
    return {name: value for name, value in found if _may_change(value)}


def is_own(function: types.FunctionType) -> bool:
    """Whether the function stands in a person's own file."""
    file = Path(function.__code__.co_filename)
    return not any(file.is_relative_to(folder) for folder in _library_folders())


def _may_change(value: Any) -> bool:
    """Whether a global is state, or a function that may lead to some; a constant is neither."""
    if isinstance(value, types.FunctionType):
        return is_own(value)
    if isinstance(value, type | types.ModuleType):
        return False
    return isinstance(value, (*_STATEFUL, list, dict, set))


def _names(code: types.CodeType) -> Iterator[str]:
    """The names of a function's code and of the functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


@cache
def _library_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    own = Path(__file__).resolve().parent.parent
    named = (Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return (*named, own)
