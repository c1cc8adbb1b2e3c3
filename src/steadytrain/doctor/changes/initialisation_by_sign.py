"""The weights are drawn anew where one sign of a wrong initialisation is there, and only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._observing import executed
from steadytrain.doctor.changes.initialisation import apply as initialise
from steadytrain.doctor.scene import Scene

APART: Final = 1.7
"""Factor between the old and the new size of a weight that counts as another size."""

FLAT: Final = 0.01
"""Share of its range from either end within which a bounded unit has hardly a slope."""

SHUT: Final = 4.0
"""A gate's bias beyond which the gate stands open or shut: sigmoid(-4) is 0.02."""


def smaller(program: Program, scene: Scene) -> Program | None:
    """None unless some weight was far larger than the architecture asks for."""
    return _if_resized(program, scene, lambda ratio: ratio > APART)


def larger(program: Program, scene: Scene) -> Program | None:
    """None unless half of the weights were far smaller than the architecture asks for."""
    return _if_resized(program, scene, lambda ratio: ratio < 1 / APART, least=0.5)


def apart(program: Program, scene: Scene) -> Program | None:
    """None unless the units of a layer begin with the same weights."""
    matrices = [p.detach() for p in program.model.parameters() if p.ndim > 1 and len(p) > 1]
    return initialise(program, scene) if any(map(_has_equal_rows, matrices)) else None


def unsaturated(program: Program, scene: Scene) -> Program | None:
    """None unless bounded units sit at the ends of their range, or gates are shut."""
    ends = any(_is_flat(one.module, one.output) for one in executed(program, scene))
    if not ends and not any(_has_shut_gates(one) for one in program.model.modules()):
        return None
    return initialise(program, scene)


def _if_resized(
    program: Program, scene: Scene, is_other: Callable[[float], bool], least: float = 0.0
) -> Program | None:
    old = {name: _size(p) for name, p in program.model.named_parameters() if p.ndim > 1}
    changed = initialise(program, scene)
    new = {name: _size(p) for name, p in changed.model.named_parameters() if p.ndim > 1}
    ratios = [old[name] / max(new[name], 1e-12) for name in old if name in new]
    others = sum(map(is_other, ratios))
    return changed if others and others >= least * len(ratios) else None


def _size(parameter: Tensor) -> float:
    return float(parameter.detach().float().square().mean().sqrt())


def _has_equal_rows(matrix: Tensor) -> bool:
    flat = matrix.flatten(1)
    return bool(((flat - flat[0]).abs().amax() <= 1e-6 * flat.abs().amax()).item())


def _is_flat(module: nn.Module, output: object) -> bool:
    ranges = {nn.Sigmoid: (0.0, 1.0), nn.Tanh: (-1.0, 1.0), nn.Hardtanh: (-1.0, 1.0)}
    if type(module) not in ranges or not isinstance(output, Tensor):
        return False
    low, high = ranges[type(module)]
    margin = FLAT * (high - low)
    values = output.detach()
    return float(((values < low + margin) | (values > high - margin)).float().mean()) > 0.5


def _has_shut_gates(module: nn.Module) -> bool:
    if not isinstance(module, nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell):
        return False
    biases = [p for name, p in module.named_parameters() if "bias" in name]
    return any(float(p.detach().abs().max()) > SHUT for p in biases)


CHANGES = tuple(
    change(name, __doc__, text=text, size=4, apply=apply)
    for name, text, apply in (
        ("initialise-smaller", "weights that are too large initialised anew", smaller),
        ("initialise-larger", "weights that are too small initialised anew", larger),
        ("initialise-apart", "units that are equal initialised apart", apart),
        ("initialise-unsaturated", "saturated units initialised anew", unsaturated),
    )
)
