"""A softmax that does not say over which dimension, or says the batch.

## What it sees
`softmax` and `log_softmax`, as function or module, without `dim`; `nn.Softmax(dim=0)` in an
`nn.Sequential`, where dimension 0 is the batch.

## Why it matters
Without `dim` PyTorch guesses by the number of dimensions, and guesses 0 for three; over the batch,
samples compete with each other.

## Flagged
    import torch.nn.functional as F
    p = F.softmax(x)

## Use instead
    import torch.nn.functional as F
    p = F.softmax(x, dim=-1)

## What to do
Say `dim=-1`, or the dimension that holds the classes.

## Source
PyTorch documentation, `torch.nn.functional.softmax`: the implicit dimension is deprecated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

_PLACES: Final = {
    "torch.nn.functional.softmax": 1,
    "torch.nn.functional.log_softmax": 1,
    "torch.nn.functional.softmin": 1,
    "torch.nn.Softmax": 0,
    "torch.nn.LogSoftmax": 0,
    "torch.nn.Softmin": 0,
}


@lint_check(code="LOS104", causes=("wrong-axis",))
def check(code: Code) -> Iterator[Remark]:
    """Say where the dimension is left to chance."""
    for call, name in code.calls:
        if name not in _PLACES or any(word.arg is None for word in call.keywords):
            continue
        dim = code.keyword(call, "dim", _PLACES[name])
        last = name.rpartition(".")[2]
        if dim is None and not any(isinstance(one, ast.Starred) for one in call.args):
            yield Remark(
                node=call,
                message=f"{last} without dim guesses the dimension, and takes 0 for three dimensions. "
                "Say dim=-1, or where the classes are.",
            )
        elif code.number(dim) == 0 and last[0].isupper() and _in_sequence(code, call):
            yield Remark(
                node=call,
                message=f"{last}(dim=0) at the end of a Sequential runs over the batch: samples compete "
                "with each other. Say dim=1 or dim=-1.",
            )


def _in_sequence(code: Code, call: ast.Call) -> bool:
    parent = code.index.parent.get(call)
    return (
        isinstance(parent, ast.Call) and code.values.resolve(parent.func) == "torch.nn.Sequential"
    )
