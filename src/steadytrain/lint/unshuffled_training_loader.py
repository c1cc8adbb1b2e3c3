"""Training data is read in the same order at every epoch.

## What it sees
A `DataLoader` for training, by the name of the loader or of its data, with `shuffle=False`, or with
neither `shuffle` nor a sampler.

## Why it matters
Where the data is sorted by class or time, every batch pulls one way; and every epoch repeats the
same batches.

## Flagged
    from torch.utils.data import DataLoader
    train_loader = DataLoader(train_set, batch_size=32, shuffle=False)

## Use instead
    from torch.utils.data import DataLoader
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)

## What to do
Say `shuffle=True`, or give a sampler that shuffles.

## Source
Bengio 2012, section 3: stochastic gradients need samples in random order.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import dotted

_TRAIN: Final = re.compile(r"(\w*_)?(train|training)(_?\w*)|\w*[tT]rain(Set|Loader|DataLoader)\w*")
_OTHER: Final = re.compile(
    r"eval|val|test|feature|extract|inference|predict|noshuffle|ordered|knn", re.IGNORECASE
)
_ORDERS: Final = ("sampler", "batch_sampler", "collate_sampler")


@lint_check(code="DAT101", causes=("data-not-shuffled",))
def check(code: Code) -> Iterator[Remark]:
    """Say which training data comes in order."""
    for call, name in code.calls:
        if name != "torch.utils.data.DataLoader" or any(word.arg is None for word in call.keywords):
            continue
        ordered = [
            code.keyword(call, word, place) for word, place in zip(_ORDERS, (3, 4, 99), strict=True)
        ]
        if any(one is not None for one in ordered) or not _is_training(code, call):
            continue
        shuffle = code.keyword(call, "shuffle", 2)
        if code.is_literal(shuffle, value=False):
            yield Remark(
                node=call,
                message="The training data comes in the same order at every epoch. Say shuffle=True.",
            )
        elif shuffle is None and not _is_stream(code, call):
            yield Remark(
                node=call,
                message="The training data is not shuffled unless the data set does it. Say shuffle=True.",
                severity=Severity.NOTE,
            )


def _is_training(code: Code, call: ast.Call) -> bool:
    """Whether the loader or its data is called after training."""
    statement = code.places.statement(call)
    names = [dotted(target) or "" for target in getattr(statement, "targets", [])]
    if call.args:
        names.append(dotted(call.args[0]) or "")
    dataset = code.keyword(call, "dataset")
    names.append(dotted(dataset) or "")
    function = getattr(code.function_of(call), "name", "")
    if function in ("train_dataloader", "get_train_dataloader") and isinstance(
        statement, ast.Return
    ):
        return True
    last = [name.rpartition(".")[2] for name in names if name]
    return any(_TRAIN.fullmatch(name) for name in last) and not any(_OTHER.search(n) for n in last)


def _is_stream(code: Code, call: ast.Call) -> bool:
    """Whether the data comes as a stream or at random, or is shuffled or split at random before."""
    given = call.args[0] if call.args else code.keyword(call, "dataset")
    value = code.values.assigned(given, code.frame(call)) if given is not None else None
    text = (
        f"{ast.unparse(given) if given else ''} {ast.unparse(value.expr) if value else ''}".lower()
    )
    if any(
        word in text for word in ("iter", "stream", "webdataset", "random", "shuffle", "synthetic")
    ):
        return True
    kind = code.kinds.of(value.expr, value.frame) if value is not None else None
    bases = code.kinds.bases(kind.cls) if kind is not None and kind.cls is not None else set()
    return any("Iterable" in base for base in bases)
