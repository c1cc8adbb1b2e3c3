"""What is backpropagated, and what it is made of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import Scope, dotted
from steadytrain.lint._code.values import Value

CUTS: Final = {"detach", "item", "numpy", "tolist", "argmax", "detach_"}
"""Methods whose result has no graph."""


@dataclass(slots=True, frozen=True, eq=False)
class Backpropagated:
    """A loss that gradients are computed of: by `backward`, or as Lightning's `training_step` returns."""

    node: ast.AST
    loss: Value
    returned: bool = False

    @property
    def name(self) -> str | None:
        """The name of the loss, where it has one."""
        return dotted(self.loss.expr)


def backpropagated(code: Code) -> list[Backpropagated]:
    """Every loss of the file that is backpropagated."""
    return code.remember("backpropagated", lambda: _backpropagated(code))


def _backpropagated(code: Code) -> Iterator[Backpropagated]:
    for word in ("backward", "manual_backward"):
        for call in code.methods.get(word, ()):
            found = _loss_of(call, code)
            if found is not None:
                yield Backpropagated(call, Value(found, code.frame(call)))
    for cls in code.classes():
        step = cls.methods.get("training_step")
        if step is None or not code.is_lightning(cls) or is_manual(cls.node):
            continue
        scope = code.index.scopes[step]
        for node in code.index.of(ast.Return):
            if isinstance(node, ast.Return) and code.index.scope[node] is scope and node.value:
                value = _returned_loss(node.value)
                yield Backpropagated(node, Value(value, code.values.frame(scope)), returned=True)

    yield from _computed(code)


def _computed(code: Code) -> Iterator[Backpropagated]:
    """What the `compute_loss` of a Trainer of transformers returns."""
    for cls in code.index.classes.values():
        compute = cls.methods.get("compute_loss")
        if compute is None or not any(base.endswith("Trainer") for base in code.kinds.bases(cls)):
            continue
        scope = code.index.scopes[compute]
        for node in code.index.returns.get(scope, ()):
            parts = (
                [node.value.body, node.value.orelse]
                if isinstance(node.value, ast.IfExp)
                else [node.value]
            )
            for part in parts:
                value = part.elts[0] if isinstance(part, ast.Tuple) and part.elts else part
                if value is not None:
                    yield Backpropagated(
                        node, Value(value, code.values.frame(scope)), returned=True
                    )


def _returned_loss(value: ast.expr) -> ast.expr:
    if isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "loss":
                return item
    return value


def is_manual(cls: ast.ClassDef) -> bool:
    """Whether a Lightning module optimises by hand."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("automatic_optimization", "manual_backward")
        for node in ast.walk(cls)
    )


def _loss_of(call: ast.Call, code: Code) -> ast.expr | None:
    assert isinstance(call.func, ast.Attribute)
    owner = call.func.value
    kind = code.kinds.of(owner, code.frame(call))
    acts = kind is not None and kind.name in (
        "accelerator",
        "fabric",
        "engine",
        "module",
        "optimizer",
    )
    if acts or call.func.attr == "manual_backward":
        return call.args[0] if call.args else None
    return unscaled(owner)


def unscaled(expr: ast.expr) -> ast.expr:
    """The loss in `scaler.scale(loss)`, or `expr` itself."""
    if (
        isinstance(expr, ast.Call)
        and isinstance(expr.func, ast.Attribute)
        and expr.args
        and expr.func.attr in ("scale", "scale_loss")
    ):
        return expr.args[0]
    return expr


def carriers(code: Code) -> dict[Scope, set[str]]:
    """The names of backpropagated losses by the scope in which they have a graph."""
    found: dict[Scope, set[str]] = {}
    for one in backpropagated(code):
        if one.name is not None and one.name != "self":
            found.setdefault(one.loss.frame.scope, set()).add(one.name)
    return found


def is_cut(code: Code, expr: ast.expr) -> bool:
    """Whether `expr` itself ends in something that has no graph."""
    if isinstance(expr, ast.Attribute):
        return expr.attr == "data"
    if not isinstance(expr, ast.Call):
        return False
    if isinstance(expr.func, ast.Attribute) and code.values.resolve(expr.func) is None:
        if expr.func.attr in CUTS:
            return True
        return expr.func.attr in (
            "cpu",
            "to",
            "cuda",
            "float",
            "clone",
            "requires_grad_",
        ) and is_cut(code, expr.func.value)
    if isinstance(expr.func, ast.Name):
        return expr.func.id in ("float", "int")
    return False
