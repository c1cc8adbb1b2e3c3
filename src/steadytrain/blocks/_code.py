"""What a module's `forward` computes, read from its bytecode without running it.

Two networks can hold the same layers and differ only in a plus sign: the one adds what its
layers give to their input, the other does not. The layers alone do not tell.
"""

from __future__ import annotations

import dis
import inspect
from collections import Counter
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Final

from torch import nn

_SUMS: Final = frozenset({"+", "+=", "add", "add_"})
_PRODUCTS: Final = frozenset({"*", "*=", "mul", "mul_"})
_MIXERS: Final = frozenset(
    {
        "softmax",
        "scaled_dot_product_attention",
        "multi_head_attention_forward",
        "flex_attention",
        "flash_attn_func",
        "memory_efficient_attention",
    }
)
_NORMS: Final = frozenset({"rsqrt", "rms_norm", "layer_norm", "group_norm", "var", "var_mean"})


@cache
def operations(kind: type) -> Counter[str]:
    """How often each operator and each name stands in `forward`.

    The methods it names are read too, and functions of the same package. Empty for what has no
    Python code, a scripted module for example.
    """
    found: Counter[str] = Counter()
    waiting = [_function(getattr(kind, "forward", None))]
    seen = set(waiting)
    while waiting:
        function = waiting.pop()
        names = Counter(_names_in(function.__code__)) if function is not None else Counter[str]()
        found += names
        fresh = {_named(name, kind, function) for name in names} - seen
        waiting += [one for one in fresh if one is not None]
        seen |= fresh
    return found


def num_sums(module: nn.Module) -> int:
    """How many additions stand in the module's own code."""
    found = operations(type(module))
    return sum(found[name] for name in _SUMS)


def multiplies(module: nn.Module) -> bool:
    """Whether a product stands in the module's own code, as in a gate."""
    return not _PRODUCTS.isdisjoint(operations(type(module)))


def mixes_positions(module: nn.Module) -> bool:
    """Whether the module's own code is that of an attention."""
    return not _MIXERS.isdisjoint(operations(type(module)))


def normalizes(module: nn.Module) -> bool:
    """Whether the module's own code divides by a spread of its input."""
    return not _NORMS.isdisjoint(operations(type(module)))


def _named(name: str, kind: type, caller: FunctionType | None) -> FunctionType | None:
    """The method or the function of the same package that `name` means in the caller's code."""
    method = getattr(kind, name, None)
    if inspect.isfunction(method) and method is not getattr(nn.Module, name, None):
        return _function(method)
    function = _function(None if caller is None else caller.__globals__.get(name))
    if function is None or _package(function.__module__) != _package(kind.__module__):
        return None
    return function


def _function(what: object) -> FunctionType | None:
    unwrapped = inspect.unwrap(what) if inspect.isfunction(what) else None
    return unwrapped if isinstance(unwrapped, FunctionType) else None


def _package(module: str) -> str:
    return module.partition(".")[0]


def _names_in(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname == "BINARY_OP":
            yield step.argrepr
        elif step.opname.startswith(("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_SUPER")):
            yield str(step.argval)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names_in(part)
