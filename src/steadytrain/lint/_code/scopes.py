"""Where names are bound: the scopes of a file and what each assigns."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(slots=True, eq=False)
class Binding:
    """One place where a name gets a value.

    `how` is one of assign, unpack, aug, for, with, def, class, arg. For `unpack`, `value` is the
    whole right side and `index` the place of the name in it.
    """

    name: str
    node: ast.AST
    value: ast.expr | None
    how: str
    index: int | None = None


@dataclass(slots=True, eq=False)
class Scope:
    """A module, class or function with the names it binds, `self.x` among them by that text."""

    node: ast.AST
    parent: Scope | None
    cls: ClassInfo | None = None
    """The class whose method this is, or that this is the body of."""
    bindings: dict[str, list[Binding]] = field(default_factory=dict[str, list[Binding]])

    @property
    def function(self) -> Function | None:
        """The function this is the scope of."""
        return self.node if isinstance(self.node, FUNCTIONS) else None

    @property
    def name(self) -> str:
        """The function's or class's name; empty for a module or lambda."""
        return getattr(self.node, "name", "")

    def defining(self, name: str) -> Scope | None:
        """The nearest scope outwards that binds `name`; a class's names are not seen inside."""
        scope: Scope | None = self
        while scope is not None:
            visible = scope is self or not isinstance(scope.node, ast.ClassDef)
            if visible and name in scope.bindings:
                return scope
            scope = scope.parent
        return None


@dataclass(slots=True, eq=False)
class ClassInfo:
    """A class of the file: its methods, and what its methods assign to `self`."""

    node: ast.ClassDef
    scope: Scope
    bases: tuple[ast.expr, ...]
    methods: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]
    attributes: dict[str, list[tuple[Binding, Scope]]] = field(
        default_factory=dict[str, list[tuple[Binding, Scope]]]
    )


def dotted(node: ast.AST | None) -> str | None:
    """`a.b.c` or `a[0].b` as text, None for anything that is not a plain path."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        inner = dotted(node.value)
        return None if inner is None else f"{inner}[{node.slice.value!r}]"
    return None


def parameters(function: Function) -> list[ast.arg]:
    """The positional and keyword parameters, without `*args` and `**kwargs`."""
    args = function.args
    return [*args.posonlyargs, *args.args, *args.kwonlyargs]
