"""Code that measures a model on held-out data, in plain loops."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from steadytrain.lint._code.callers import callers
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import LOOPS, dotted
from steadytrain.lint._code.values import Frame

_FUNCTION: Final = re.compile(
    r"(do_|run_)?(validat\w*|evaluat\w*|eval|test|test_epoch|val_epoch|eval_epoch|val_step|test_step|"
    r"test_model|eval_model|val_model|valid|val|get_(val|test)_\w+|estimate_loss|compute_accuracy|check_accuracy)"
    r"(_(one_)?epoch|_loop|_model|_fn)?"
)
_DATA: Final = re.compile(
    r"(\w*_)?(val|valid|validation|test|eval)(_?(data)?_?loader|_dl|_dataloader)\w*"
)


@dataclass(slots=True, frozen=True, eq=False)
class Evaluation:
    """A loop over data that runs a model and never trains."""

    loop: ast.AST
    forward: ast.Call
    model: ast.expr
    frame: Frame


def evaluations(code: Code) -> Iterator[Evaluation]:
    """The loops over held-out data that run a model of the file or of its arguments."""
    for loop in code.index.of(ast.For, ast.AsyncFor):
        assert isinstance(loop, ast.For | ast.AsyncFor)
        function = code.function_of(loop)
        named = _FUNCTION.fullmatch(getattr(function, "name", "")) is not None
        if not (named or _over_held_out(loop)) or _is_trained_in(loop, function if named else loop):
            continue
        if any(
            isinstance(outer, LOOPS) and _over(outer) for outer in code.places.within(loop, *LOOPS)
        ):
            continue
        found = _forward(code, loop)
        if found is not None:
            yield Evaluation(loop, found, found.func, code.frame(found))


def _over(loop: ast.AST) -> bool:
    return isinstance(loop, ast.For) and "load" in ast.unparse(loop.iter)


def _over_held_out(loop: ast.For | ast.AsyncFor) -> bool:
    names = [dotted(node) or "" for node in ast.walk(loop.iter)]
    return any(_DATA.fullmatch(name.rpartition(".")[2]) for name in names)


def _is_trained_in(loop: ast.AST, around: ast.AST | None) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("backward", "step", "manual_backward", "grad")
        for node in ast.walk(around or loop)
    )


def _forward(code: Code, loop: ast.AST) -> ast.Call | None:
    """The first call of a module in the loop's own body."""
    for node in ast.walk(loop):
        if not isinstance(node, ast.Call) or code.index.scope[node] is not code.index.scope[loop]:
            continue
        kind = code.kinds.of(node.func, code.frame(node))
        if kind is not None and kind.name == "module" and node.args:
            made = kind.call is not None or kind.cls is not None
            called = re.search(r"model|net", (dotted(node.func) or "").lower())
            if (made or called) and not _has_no_weights(kind.maker):
                return node
    return None


def _has_no_weights(maker: str) -> bool:
    last = maker.rpartition(".")[2]
    return maker.startswith("torch.nn.") and last in (
        "Softmax",
        "Sigmoid",
        "LogSoftmax",
        "Flatten",
        "ReLU",
    )


def in_framework(code: Code, node: ast.AST) -> bool:
    """Whether somebody who cannot be seen, a framework say, sets mode and gradients around `node`."""
    cls = code.enclosing_class(node)
    if cls is not None and not callers(code, code.function_of(node)):
        return True
    return (
        cls is not None
        and bool(cls.bases)
        and code.kinds.class_kind(cls) != "optimizer"
        and (code.is_lightning(cls) or code.kinds.class_kind(cls) is None)
    )
