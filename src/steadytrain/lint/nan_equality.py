"""A comparison with NaN that is never true.

## What it sees
`==`, `!=`, `is` or `in` with `float("nan")`, `math.nan`, `np.nan` or `torch.nan`.

## Why it matters
NaN equals nothing, itself included: the test always has the same outcome and guards nothing.

## Flagged
    import numpy as np
    if loss == np.nan:
        raise RuntimeError("loss is NaN")

## Use instead
    import math
    if math.isnan(loss):
        raise RuntimeError("loss is NaN")

## What to do
Ask `torch.isnan(x)`, `math.isnan(x)`, or better `torch.isfinite(x)`, which also sees infinity.

## Source
IEEE 754: NaN compares unequal to everything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

_NANS: Final = {"math.nan", "numpy.nan", "numpy.NaN", "numpy.NAN", "torch.nan"}


@lint_check(code="LOP122", causes=("unknown",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where NaN is looked for by comparison."""
    for node in code.index.of(ast.Compare):
        assert isinstance(node, ast.Compare)
        if any(_is_nan(code, side) for side in (node.left, *node.comparators)) and isinstance(
            node.ops[0], ast.Eq | ast.NotEq | ast.Is | ast.IsNot
        ):
            yield Remark(
                node=node,
                message="Nothing equals NaN, not even NaN: this test always has the same outcome. "
                "Use torch.isnan or math.isnan.",
            )


def _is_nan(code: Code, node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float" and node.args:
        given = node.args[0]
        return isinstance(given, ast.Constant) and str(given.value).lower() in ("nan", "-nan")
    return code.values.resolve(node) in _NANS
