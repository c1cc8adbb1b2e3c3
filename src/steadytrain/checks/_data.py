"""The tensors of the first batches, and which of them are inputs and which are targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from steadytrain.checks._functions import LOSSES
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import tensors_in
from steadytrain.checks._several import several
from steadytrain.core.check import Unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The batches as lists of tensors, in the same order in each."""

    batches: tuple[tuple[Tensor, ...], ...]
    inputs: tuple[int, ...]
    """Places of the tensors that the model was given."""
    targets: tuple[int, ...]
    """Places of those that the loss was given as targets; an autoencoder's are inputs too."""

    def column(self, place: int) -> list[Tensor]:
        """That tensor of every batch."""
        return [batch[place] for batch in self.batches]

    def pooled(self, place: int, most: int = 4096) -> Tensor:
        """That tensor of all batches, one under the other, at most so many rows."""
        parts = self.column(place)
        same = [one for one in parts if one.dim() and one.shape[1:] == parts[0].shape[1:]]
        return torch.cat(same)[:most] if same else parts[0][:0]

    def labels(self) -> list[Tensor]:
        """One class per sample, batch by batch.

        Raises:
            Unseen: there is no such target.
        """
        for place in self.targets:
            parts = [
                one.flatten() if one.shape[1:].numel() == 1 else one for one in self.column(place)
            ]
            if all(one.dim() == 1 and _is_class(one) for one in parts):
                return [one.long() for one in parts]
        raise Unseen("no target is one class per sample")


def data_of(scene: Scene) -> Data:
    """The first batches, sorted into inputs and targets by what the first step was given.

    Raises:
        Unseen: no batch holds a tensor.
    """
    all_leaves = [tuple(tensors_in(batch)) for batch in scene.once(several)]
    first = all_leaves[0]
    if not first or not any(leaf.dim() for leaf in first):
        raise Unseen("the batches hold no tensors")
    kept = tuple(leaves for leaves in all_leaves if len(leaves) == len(first))
    given, asked = _arguments(scene)
    inputs = tuple(k for k, leaf in enumerate(first) if any(_equal(leaf, one) for one in given))
    targets = tuple(k for k, leaf in enumerate(first) if any(_equal(leaf, one) for one in asked))
    if not inputs:
        inputs = tuple(k for k in range(len(first)) if k not in targets)
    return Data(batches=kept, inputs=inputs, targets=targets)


def validation_of(scene: Scene, data: Data) -> list[tuple[Tensor, ...]]:
    """The program's validation data as batches of the same tensors.

    Raises:
        Unseen: there is none, or it has another form.
    """
    given: Any = scene.program.validation
    if given is None:
        raise Unseen("no validation data")
    wanted = len(data.batches[0])
    whole = tuple(tensors_in(given))
    if len(whole) == wanted:
        return [whole]
    parts = [tuple(tensors_in(one)) for one in _first(given, 8)]
    if not parts or any(len(one) != wanted for one in parts):
        raise Unseen("the validation data has another form than the batches")
    return parts


def _first(given: Any, most: int) -> Iterable[Any]:
    if not isinstance(given, DataLoader | list | tuple):
        return
    for place, one in enumerate(given):
        if place == most:
            return
        yield one


def _arguments(scene: Scene) -> tuple[list[Tensor], list[Tensor]]:
    """What the outermost modules and what the losses were given in the first step."""
    try:
        first = scene.first
    except Unseen:
        return [], []
    given = [one for entry in first.entries for one in entry.arguments]
    asked = [call["target"] for call in first.calls if call.name in LOSSES]
    return given, [one for one in asked if isinstance(one, Tensor)]


def _equal(leaf: Tensor, other: Tensor) -> bool:
    if leaf.numel() != other.numel() or not leaf.numel() or leaf.device != other.device:
        return False
    return torch.equal(leaf.detach().flatten().double(), other.detach().flatten().double())


def _is_class(values: Tensor) -> bool:
    return not values.is_floating_point() and not values.is_complex() and values.dtype != torch.bool
