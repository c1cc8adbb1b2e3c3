"""Numbers that are names of things are looked up in a table instead of multiplied."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._data import looked_at, tensors
from steadytrain.doctor.changes._groups import exchange
from steadytrain.doctor.changes._observing import executed, same_draws
from steadytrain.doctor.changes._surgery import put
from steadytrain.doctor.scene import Scene

WIDTH: Final = 8


class Looked(nn.Module):
    """A table for the indices, and the layer on what stands in it. Shape: [..., n] -> [..., out].

    Args:
        size: how many indices there are.
        layer: the linear layer that read the indices as quantities.
    """

    def __init__(self, size: int, layer: nn.Linear) -> None:
        super().__init__()
        self.table = nn.Embedding(size, WIDTH)
        self.layer = nn.Linear(layer.in_features * WIDTH, layer.out_features)

    def forward(self, x: Tensor) -> Tensor:
        places = x.round().long().clamp(0, self.table.num_embeddings - 1)
        return self.layer(self.table(places).flatten(-2))


def apply(program: Program, scene: Scene) -> Program | None:
    """The first layer, where the inputs are whole numbers of a vocabulary."""
    batches = looked_at(program, scene)
    inputs = [found[0] for batch in batches if (found := tensors(batch))]
    if not inputs or not all(map(_are_whole, inputs)):
        return None
    size = int(max(float(one.max()) for one in inputs)) + 1
    order = executed(program, scene)
    seen = next((one.path for one in order if isinstance(one.module, nn.Linear)), None)
    if seen is None or isinstance(order[0].module, nn.Embedding) or not 4 < size <= 100_000:
        return None
    layer = program.model.get_submodule(seen)
    assert isinstance(layer, nn.Linear)
    with same_draws(scene.seed):
        new = Looked(size, layer).to(layer.weight.device).train(layer.training)
    put(program.model, seen, new)
    exchange(program, list(layer.parameters()), list(new.parameters()))
    return program


def _are_whole(values: Tensor) -> bool:
    numbers = values.float()
    return bool((numbers == numbers.round()).all() and (numbers >= 0).all()) and bool(
        torch.unique(numbers).numel() > 2
    )


CHANGE = change("embed-tokens", __doc__, text="indices looked up in a table", size=5, apply=apply)
