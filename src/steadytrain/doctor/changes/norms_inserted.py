"""Every hidden layer's output is normalised before what follows it."""

from __future__ import annotations

from typing import cast

from torch import nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._observing import executed
from steadytrain.doctor.changes._surgery import NORMS, WEIGHTED, last_weighted, put_behind
from steadytrain.doctor.scene import Scene


def apply(program: Program, scene: Scene) -> Program | None:
    """Layer norm behind linear layers, group norm behind convolutions; not behind the last one.

    None where a norm follows most of the layers already.
    """
    seen = executed(program, scene)
    last = last_weighted(seen)
    places = [k for k, one in enumerate(seen[:last]) if isinstance(one.module, WEIGHTED)]
    bare = [k for k in places if not isinstance(seen[k + 1].module, NORMS)]
    has_norm = sum(isinstance(one.module, NORMS) for one in seen)
    if not bare or 3 * has_norm >= len(places):
        return None
    for path in dict.fromkeys(seen[k].path for k in bare):
        layer = program.model.get_submodule(path)
        put_behind(program, layer, _norm(layer))
    return program


def _norm(layer: nn.Module) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return nn.LayerNorm(layer.out_features)
    channels = cast("nn.Conv2d", layer).out_channels
    groups = next((n for n in (8, 4, 2) if channels % n == 0 and channels > n), 1)
    return nn.GroupNorm(groups, channels)


CHANGE = change(
    "insert-norms", __doc__, text="a norm behind every hidden layer", size=5, apply=apply
)
