"""The weights are drawn anew, as the architecture needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import torch
from torch import nn

from steadytrain.blocks.initialization import initialize
from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._groups import forget
from steadytrain.doctor.changes._observing import executed, same_draws
from steadytrain.doctor.changes._surgery import last_weighted
from steadytrain.doctor.scene import Scene, models_of

PLAIN: Final = "orthogonal"
"""What a stack without shortcuts is initialised as; it keeps the signal at any depth."""

SILENT: Final = 1e-6
"""Deviation between samples below which nothing is told apart."""


def apply(program: Program, scene: Scene) -> Program:
    """All weights of all models; the optimizers forget the old ones, copies of a model follow it.

    The choice is made by reading the model's code, and held against what the model then does:
    where nothing arrives at the last layer, shortcuts were counted on that are not there.
    """
    with _copies_following(program):
        for model in models_of(program):
            if any(one.requires_grad for one in model.parameters()):
                initialize(model, "auto", seed=scene.seed, verbose=False)
        if not _is_signal_alive(program, scene):
            initialize(program.model, PLAIN, seed=scene.seed, verbose=False)
    forget(program)
    return program


@contextmanager
def _copies_following(program: Program) -> Iterator[None]:
    """Models that were equal to the main one (replicas, target networks) are so afterwards."""
    first, *others = models_of(program)
    equal = [one for one in others if _are_equal(first.state_dict(), one.state_dict())]
    yield
    for other in equal:
        other.load_state_dict(first.state_dict())


def _are_equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def _is_signal_alive(program: Program, scene: Scene) -> bool:
    """Whether the last layer is given different things for different samples."""
    seen = executed(program, scene)
    given = seen[last_weighted(seen)].inputs
    if not given or not isinstance(given[0], torch.Tensor) or not given[0].is_floating_point():
        return True
    return float(given[0].detach().float().std(0).max()) > SILENT


def as_torch_does(program: Program, scene: Scene) -> Program | None:
    """Every layer by its own `reset_parameters`."""
    layers = [
        one
        for model in models_of(program)
        for one in model.modules()
        if hasattr(one, "reset_parameters")
    ]
    if not layers:
        return None
    with _copies_following(program), same_draws(scene.seed):
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
        apply=apply,
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
