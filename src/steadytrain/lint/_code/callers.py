"""What holds around a function wherever the file calls it."""

from __future__ import annotations

import ast
from collections.abc import Callable

from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import FUNCTIONS


def callers(code: Code, function: ast.AST | None) -> list[ast.Call]:
    """The calls of a function or method of the file, by its name."""
    name = getattr(function, "name", None)
    return [
        call
        for call in code.index.of(ast.Call)
        if isinstance(call, ast.Call)
        and name is not None
        and (getattr(call.func, "id", None) == name or getattr(call.func, "attr", None) == name)
    ]


def any_caller(code: Code, node: ast.AST, holds: Callable[[ast.AST], bool], depth: int = 0) -> bool:
    """Whether `holds` is true of the function of `node`, or around a call of it, or further out.

    Code outside of functions is looked at up to `node`, statement by statement.
    """
    function = code.function_of(node)
    if function is None:
        before = [s for s in code.tree.body if s.lineno <= getattr(node, "lineno", 0)]
        return any(holds(s) for s in before if not isinstance(s, (*FUNCTIONS, ast.ClassDef)))
    if holds(function):
        return True
    if depth > 4:
        return True
    return any(any_caller(code, call, holds, depth + 1) for call in callers(code, function))
