"""The weights are drawn anew, as the architecture needs them."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from steadytrain.blocks.initialization import initialize
from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._groups import forget
from steadytrain.doctor.changes._observing import executed, same_draws
from steadytrain.doctor.changes._surgery import last_weighted
from steadytrain.doctor.scene import Scene


def apply(program: Program, scene: Scene, *, scheme: str) -> Program:
    """All weights of the model; the optimizers forget the old ones."""
    frozen = [p for p in program.model.parameters() if not p.requires_grad]
    kept = [p.detach().clone() for p in frozen]
    initialize(program.model, scheme, seed=scene.seed, verbose=False)
    with torch.no_grad():
        for parameter, value in zip(frozen, kept, strict=True):
            parameter.copy_(value)
    forget(program)
    return program


def as_torch_does(program: Program, scene: Scene) -> Program | None:
    """Every layer by its own `reset_parameters`."""
    layers = [one for one in program.model.modules() if hasattr(one, "reset_parameters")]
    if not layers:
        return None
    with same_draws(scene.seed):
        for layer in layers:
            layer.reset_parameters()  # pyright: ignore[reportCallIssue]
    forget(program)
    return program


def head(program: Program, scene: Scene) -> Program | None:
    """The last layer only, small: outputs begin near zero."""
    seen = executed(program, scene)
    place = last_weighted(seen)
    if place < 0:
        return None
    layer = program.model.get_submodule(seen[place].path)
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.ndim < 2:
        return None
    with same_draws(scene.seed), torch.no_grad():
        nn.init.normal_(weight, std=0.5 * weight[0].numel() ** -0.5)
        if isinstance(bias := getattr(layer, "bias", None), nn.Parameter):
            nn.init.zeros_(bias)
    forget(program)
    return program


CHANGES = (
    change(
        "initialise",
        __doc__,
        text="initialised for the architecture",
        size=4,
        apply=partial(apply, scheme="auto"),
    ),
    change(
        "initialise-as-torch",
        __doc__,
        text="every layer initialised as PyTorch does",
        size=4,
        apply=as_torch_does,
    ),
    change("initialise-head", __doc__, text="only the last layer initialised", size=4, apply=head),
)
