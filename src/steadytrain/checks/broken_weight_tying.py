"""An embedding and an output layer are equal and do not share their weights.

## What it does
Compares every embedding with every linear layer of the same shape; and asks a `config` that says
`tie_word_embeddings` whether the two are one tensor.

## Why it matters
Two equal matrices drift apart from the first step on. The model has more parameters than it was
designed with, and after loading or converting it is another one than was trained.

## Passes when
They are one tensor, or differ from the start.

## Fails when
They are equal in every element, not constant, both trainable, and lie in different memory; or the
configuration asks for tying and they are two tensors.

## What to do
`head.weight = embedding.weight`, or `model.tie_weights()`, after loading and converting; then build
the optimizer.

## Source
Press & Wolf 2017 (Using the output embedding to improve language models).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="INI250", causes=("weight-tying-broken",), stage="architecture")
@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenWeightTying:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        pairs = list(_pairs(scene.model))
        if not pairs:
            return not_applicable(self, "no embedding has the shape of an output layer")
        for table, head, one, other in pairs:
            if not _share(one, other) and _are_equal(one, other):
                return self._failed(table, head, "are equal and lie in different memory")
        asked = _asked_to_tie(scene.model)
        if asked is not None:
            return self._failed(*asked, "are two tensors though the configuration ties them")
        num_tied = sum(_share(one, other) for _, _, one, other in pairs)
        return passed(
            self, f"{num_tied} of {len(pairs)} pairs of equal shape share memory", num_tied
        )

    def _failed(self, table: str, head: str, what: str) -> Answer:
        return failed(
            self,
            f"{table} and {head} {what}",
            findings=[
                finding(
                    self,
                    f"{table} and {head} {what}: tying was lost, and they part at the first step. "
                    "Assign one to the other after loading, then build the optimizer.",
                    site=head,
                    evidence={"sites": (table, head)},
                )
            ],
        )


def _pairs(model: nn.Module) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """Embeddings and linear layers of one shape, both trainable, with their paths."""
    tables = [(p, m) for p, m in model.named_modules() if isinstance(m, nn.Embedding)]
    heads = [(p, m) for p, m in model.named_modules() if isinstance(m, nn.Linear)]
    for path, table in tables:
        for other, head in heads:
            both = (table.weight, head.weight)
            if both[0].shape == both[1].shape and all(one.requires_grad for one in both):
                yield path, other, table.weight, head.weight


def _share(one: Tensor, other: Tensor) -> bool:
    return one is other or one.data_ptr() == other.data_ptr()


def _are_equal(one: Tensor, other: Tensor) -> bool:
    same = one.device == other.device and one.dtype == other.dtype and torch.equal(one, other)
    return same and bool((one != one.flatten()[0]).any())


def _asked_to_tie(model: Any) -> tuple[str, str] | None:
    """The input and output embeddings of a model whose configuration ties them, if it is not so."""
    if getattr(getattr(model, "config", None), "tie_word_embeddings", False) is not True:
        return None
    find = [getattr(model, f"get_{side}_embeddings", None) for side in ("input", "output")]
    ends = [one() if callable(one) else None for one in find]
    one, other = (getattr(end, "weight", None) for end in ends)
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)) or _share(one, other):
        return None
    paths = {id(module): path for path, module in model.named_modules()}
    return paths.get(id(ends[0]), "input"), paths.get(id(ends[1]), "output")
