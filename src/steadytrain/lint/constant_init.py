"""All weights of a kind of layer begin with the same value.

## What it sees
A constant, ones or zeros, filled into `.weight` under a test for Linear or convolution layers.

## Why it matters
Units with the same weights get the same gradient: they stay identical, and a layer of a hundred is a
layer of one. With zeros, the layers before get no gradient at all.

## Flagged
    from torch import nn
    def init_weights(m):
        if isinstance(m, nn.Linear):
            nn.init.constant_(m.weight, 0.1)

## Use instead
    from torch import nn
    def init_weights(m):
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight)

## What to do
Initialise weights at random; constants are for biases and norms.

## Source
Goodfellow, Bengio and Courville 2016, section 8.4: break symmetry between units.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

_FILLS: Final = {"torch.nn.init.constant_", "torch.nn.init.zeros_", "torch.nn.init.ones_",
                 "torch.nn.init.constant", "torch.nn.init.zeros"}  # fmt: skip
_LAYERS: Final = {
    "Linear",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "Embedding",
    "LSTM",
    "GRU",
}


@lint_check(code="INI105", causes=("symmetric-init",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where units begin identical."""
    for call, name in code.calls:
        if name in _FILLS and call.args and _is_weight(call.args[0]):
            yield from _remark(code, call, call.args[0])
    for method in ("fill_", "zero_"):
        for call in code.methods.get(method, ()):
            owner = getattr(call.func, "value", call)
            if _is_weight(owner):
                yield from _remark(code, call, owner)


def _is_weight(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and node.attr == "data":
        node = node.value
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "weight"
        and isinstance(node.value, ast.Name)
    )


def _remark(code: Code, call: ast.Call, weight: ast.AST) -> Iterator[Remark]:
    """The remark, where the branch is the one for layers that need random weights."""
    name = ast.unparse(weight).partition(".")[0]
    for outer in code.places.within(call, ast.If):
        assert isinstance(outer, ast.If)
        if code.places.inside(call, outer.test) or not any(
            code.places.inside(call, s) for s in outer.body
        ):
            continue
        layers = _tested(outer.test, name)
        if layers:
            if layers <= _LAYERS and len(_conditions(outer.test)) == 1:
                yield Remark(
                    node=call,
                    message=f"Every {'/'.join(sorted(layers))} begins with identical units, and they stay "
                    "identical. Initialise weights at random.",
                )
            return


def _tested(test: ast.expr, name: str) -> set[str]:
    """The layer types of `isinstance(name, ...)` in the test."""
    found: set[str] = set()
    for node in ast.walk(test):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "isinstance"
            and len(node.args) == 2
            and getattr(node.args[0], "id", "") == name
        ):
            kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
            found |= {getattr(kind, "attr", "") or getattr(kind, "id", "") for kind in kinds}
    return found


def _conditions(test: ast.expr) -> list[ast.expr]:
    """The parts of `a and b`: a layer that is picked out by more than its type is another matter."""
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
