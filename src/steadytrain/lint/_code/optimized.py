"""The optimizers of a file and whose parameters they were given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from steadytrain.lint._code.code import Code
from steadytrain.lint._code.values import Frame

GIVES: Final = ("parameters", "named_parameters")


@dataclass(slots=True, frozen=True, eq=False)
class Built:
    """One construction of an optimizer."""

    call: ast.Call
    frame: Frame
    models: frozenset[str]
    """Keys of the modules whose `parameters()` it was given."""
    plain: bool
    """Whether it was given `model.parameters()` and nothing else."""


def optimizers(code: Code) -> list[Built]:
    """Every optimizer of an imported class that is built in the file."""
    return code.remember("optimizers", lambda: _optimizers(code))


def _optimizers(code: Code) -> Iterator[Built]:
    for call in code.index.of(ast.Call):
        assert isinstance(call, ast.Call)
        frame = code.frame(call)
        kind = code.kinds.of(call, frame)
        if kind is None or kind.name != "optimizer" or kind.call is None or not kind.maker:
            continue
        if kind.call.expr is call:
            given = call.args[0] if call.args else code.keyword(call, "params")
            yield Built(call, frame, frozenset(_models(code, given, frame)), _is_plain(given))


def _models(code: Code, given: ast.expr | None, frame: Frame) -> set[str]:
    if given is None:
        return set()
    value = code.values.assigned(given, frame)
    expr, home = (value.expr, value.frame) if value is not None else (given, frame)
    return {
        code.values.key(node.value, home)
        for node in ast.walk(expr)
        if isinstance(node, ast.Attribute) and node.attr in GIVES
    } - {""}


def _is_plain(given: ast.expr | None) -> bool:
    return (
        isinstance(given, ast.Call)
        and isinstance(given.func, ast.Attribute)
        and given.func.attr == "parameters"
    )
