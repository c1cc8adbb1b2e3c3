"""The matrix that is applied at every time step neither shrinks nor multiplies the state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._groups import forget
from steadytrain.doctor.changes._observing import executed, same_draws
from steadytrain.doctor.scene import Scene


def apply(program: Program, scene: Scene, *, revise: Callable[[Tensor], Tensor]) -> Program | None:
    """Every square block of every recurrent matrix."""
    matrices = _recurrent(program, scene)
    if not matrices:
        return None
    with same_draws(scene.seed), torch.no_grad():
        for matrix in matrices:
            size = matrix.shape[1]
            for block in matrix.split(size):
                block.copy_(revise(block))
    forget(program)
    return program


def _recurrent(program: Program, scene: Scene) -> list[Tensor]:
    """Of torch's recurrent modules, and square layers that run several times in a row."""
    found: list[Tensor] = [
        parameter
        for module in program.model.modules()
        if isinstance(module, nn.RNNBase | nn.RNNCellBase)
        for name, parameter in module.named_parameters(recurse=False)
        if name.startswith("weight_hh") and parameter.shape[0] % parameter.shape[1] == 0
    ]
    if found:
        return found
    counts = Counter(one.path for one in executed(program, scene) if _is_square(one.module))
    layers = [program.model.get_submodule(path) for path, count in counts.items() if count > 2]
    return [layer.weight for layer in layers if isinstance(layer, nn.Linear)]


def _is_square(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and module.in_features == module.out_features


def _orthogonal(block: Tensor) -> Tensor:
    return nn.init.orthogonal_(torch.empty_like(block))


def _of_radius_one(block: Tensor) -> Tensor:
    radius = float(torch.linalg.eigvals(block.float()).abs().max())
    return block / radius if radius > 1e-12 else _orthogonal(block)


CHANGES = (
    change(
        "spectral-radius-one",
        __doc__,
        text="recurrent matrices scaled to spectral radius 1",
        size=4,
        apply=partial(apply, revise=_of_radius_one),
    ),
    change(
        "orthogonal-recurrence",
        __doc__,
        text="recurrent matrices orthogonal",
        size=4,
        apply=partial(apply, revise=_orthogonal),
    ),
)
