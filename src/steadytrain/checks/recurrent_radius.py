"""A recurrent matrix multiplies the state at every time step, or shrinks it to nothing.

## What it does
Computes the spectral radius of the recurrent matrix of every `nn.RNN`, and raises it to the length
of the sequences in the first batch.

## Why it matters
Nothing bounds a ReLU's state: at a radius of 1.5 it grows a millionfold over 35 steps, and the
gradient does on its way back. At a radius of 0.2 nothing is left of either after a few steps.

## Passes when
Over the whole sequence a ReLU's state grows less than a thousandfold, and the radius is not far below
that of PyTorch's default, 0.58.

## Fails when
It grows more, or the radius is below 0.35 over eight steps or more.

## What to do
The identity or an orthogonal matrix (`nn.init.eye_`, `nn.init.orthogonal_`) as the recurrent matrix,
a tanh, or an LSTM or GRU; clip the gradient.

## Source
Pascanu, Mikolov, Bengio 2013, section 2; Le, Jaitly, Hinton 2015 for the identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed

_LONG = 8
"""Steps over which shrinking matters."""


@check(
    code="INI258",
    causes=("recurrent-spectral-radius", "exploding-gradient", "init-too-large"),
    stage="architecture",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentRadius:
    """Options of the check."""

    max_growth: float = 1e3
    """Of a ReLU's state over a whole sequence."""
    min_radius: float = 0.35
    """Uniform weights within 1 / sqrt(n), PyTorch's default, have a radius of 1 / sqrt(3)."""

    def judge(self, scene: Scene, /) -> Answer:
        lengths = _lengths(scene)
        if not lengths:
            return not_applicable(self, "no plain recurrent network ran")
        radii = {path: _radius(cell) for path, (cell, _) in lengths.items()}
        path = max(radii, key=lambda name: lengths[name][1] * max(radii[name] - 1, 0.0))
        radius, length = radii[path], lengths[path][1]
        is_relu = lengths[path][0].nonlinearity == "relu"
        growth = min(radius, 1e6) ** min(length, 50)
        seen = f"radius {number(radius)} over {length} steps"
        least = min(radii, key=lambda name: radii[name])
        if not radii[least] >= self.min_radius and lengths[least][1] >= _LONG:
            return self._shrinks(least, radii[least], lengths[least][1])
        if growth <= self.max_growth or not is_relu:
            return passed(self, seen, radius)
        return failed(
            self,
            seen,
            radius,
            findings=[
                finding(
                    self,
                    f"The recurrent matrix of {path or 'the model'} has a spectral radius of "
                    f"{number(radius)}: over {length} steps the state grows {number(growth)}-fold or "
                    "more. Begin with the identity, or use an LSTM or GRU, and clip.",
                    site=path or None,
                    evidence={"radius": radius, "length": length},
                )
            ],
        )

    def _shrinks(self, path: str, radius: float, length: int) -> Answer:
        causes = ("recurrent-spectral-radius", "vanishing-gradient", "init-too-small")
        message = (
            f"The recurrent matrix of {path or 'the model'} has a spectral radius of {number(radius)}: "
            f"over {length} steps nothing is left of the state. Begin with an orthogonal matrix, or use "
            "an LSTM or GRU."
        )
        evidence = {"radius": radius, "length": length}
        said = finding(self, message, site=path or None, causes=causes, evidence=evidence)
        return failed(self, f"radius {number(radius)} over {length} steps", radius, findings=[said])


def _lengths(scene: Scene) -> dict[str, tuple[nn.RNN, int]]:
    """Plain recurrent layers that ran, and the longest sequence each was given."""
    cells = {
        path: module for path, module in scene.model.named_modules() if isinstance(module, nn.RNN)
    }
    found: dict[str, tuple[nn.RNN, int]] = {}
    for seen in scene.first.modules:
        if seen.path in cells and seen.inputs and len(seen.inputs[0].shape) == 3:
            cell = cells[seen.path]
            length = seen.inputs[0].shape[1 if cell.batch_first else 0]
            before = found.get(seen.path, (cell, 0))[1]
            found[seen.path] = (cell, max(length, before))
    return found


def _radius(cell: nn.RNN) -> float:
    weights = [one for name, one in cell.named_parameters() if name.startswith("weight_hh")]
    return max(float(torch.linalg.eigvals(one.detach().float()).abs().max()) for one in weights)
