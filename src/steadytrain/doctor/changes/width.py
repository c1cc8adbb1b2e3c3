"""Narrow hidden layers are made wider."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._groups import exchange
from steadytrain.doctor.changes._observing import Ran, executed, same_draws
from steadytrain.doctor.changes._surgery import ACTIVATIONS, put
from steadytrain.doctor.scene import Scene

FACTOR: Final = 4
LEAST: Final = 16


def apply(program: Program, scene: Scene) -> Program | None:
    """Every hidden width between two linear layers is four times what it was, at least 16.

    Weights that were there stay; the new ones into the layer are drawn, those out of it are zero,
    so that the network begins as the same function.
    """
    pairs = _pairs(executed(program, scene))
    for first, second in pairs:
        _widen(program, first, second, scene.seed)
    return program if pairs else None


def _pairs(seen: list[Ran]) -> list[tuple[str, str]]:
    """Linear layers with nothing but activations between them, each pair once."""
    found: dict[tuple[str, str], None] = {}
    last: str | None = None
    for one in seen:
        if isinstance(one.module, nn.Linear):
            if last is not None and last != one.path:
                found[(last, one.path)] = None
            last = one.path
        elif not isinstance(one.module, (*ACTIVATIONS, nn.Dropout, nn.Identity)):
            last = None
    # a layer that feeds or reads two others keeps its width
    firsts, seconds = [a for a, _ in found], [b for _, b in found]
    return [(a, b) for a, b in found if firsts.count(a) == 1 and seconds.count(b) == 1]


def _widen(program: Program, first: str, second: str, seed: int) -> None:
    before, after = (program.model.get_submodule(path) for path in (first, second))
    assert isinstance(before, nn.Linear)
    assert isinstance(after, nn.Linear)
    old, width = before.out_features, max(LEAST, FACTOR * before.out_features)
    if after.in_features != old:
        return
    with same_draws(seed), torch.no_grad():
        wide = nn.Linear(before.in_features, width, bias=before.bias is not None)
        nn.init.kaiming_normal_(wide.weight, nonlinearity="relu")
        wide.weight[:old] = before.weight
        if before.bias is not None:
            nn.init.zeros_(wide.bias)
            wide.bias[:old] = before.bias
        reader = nn.Linear(width, after.out_features, bias=after.bias is not None)
        nn.init.zeros_(reader.weight)
        reader.weight[:, :old] = after.weight
        if after.bias is not None:
            reader.bias.copy_(after.bias)
    for path, layer, new in ((first, before, wide), (second, after, reader)):
        put(program.model, path, new.to(layer.weight.device).train(layer.training))
        exchange(program, list(layer.parameters()), list(new.parameters()))


CHANGE = change("wider", __doc__, text="hidden layers four times as wide", size=5, apply=apply)
