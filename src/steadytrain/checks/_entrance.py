"""The first layer that multiplies the data with weights, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import nn
from torch.nn.modules.conv import _ConvNd

from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Facts
from steadytrain.core.check import Unseen

PRODUCTS: Final = (nn.Linear, nn.Bilinear, _ConvNd, nn.RNNBase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """A layer and the statistics of its input in the first batch."""

    path: str
    module: nn.Module
    given: Facts


def entrance_of(scene: Scene) -> Entrance:
    """The first layer with weights that ran, if it is one that multiplies.

    Raises:
        Unseen: the first is an embedding, a norm, or a module of the user's own.
    """
    modules = dict(scene.model.named_modules())
    for seen in scene.first.modules:
        module = modules.get(seen.path)
        if (
            module is None
            or not seen.inputs
            or not any(True for _ in module.parameters(recurse=False))
        ):
            continue
        if isinstance(module, PRODUCTS):
            return Entrance(path=seen.path, module=module, given=seen.inputs[0])
        raise Unseen(f"the data enters through {seen.path or 'the model'}, a {seen.kind}")
    raise Unseen("no layer with weights ran")
