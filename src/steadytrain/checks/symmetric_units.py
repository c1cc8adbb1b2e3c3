"""The units of a layer begin with different weights.

## What it does
Counts, for every weight matrix of a linear, convolutional or recurrent layer, the units whose
weights (and biases) are the same bits as those of another unit.

## Why it matters
Units with equal weights into them and equal weights out of them compute the same, get the same
gradient and stay equal for ever: a layer of a hundred of them is worth one.

## Passes when
The units of each layer differ, or a layer of zeros has random layers after and before it (a
zero-initialised output or projection breaks its symmetry at the first step).

## Fails when
All units of a layer are equal, not zero, and get equal gradients; or two layers that follow each
other are zero.

## What to do
Draw the weights at random: `nn.init.kaiming_normal_`, or the layer's own `reset_parameters()`.

## Source
Goodfellow, Bengio, Courville 2016, section 8.4: the initial parameters need to break symmetry.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity

_KINDS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.Bilinear)


@check(code="INI204", causes=("symmetric-init",), stage="architecture")
@dataclass(frozen=True, slots=True, kw_only=True)
class SymmetricUnits:
    """No layer's units are all the same."""

    min_units: int = 3
    """Units below which a layer is too narrow to judge."""

    def judge(self, scene: Scene, /) -> Answer:
        weights = _matrices(scene.model, self.min_units)
        if not weights:
            return not_applicable(self, "no layer has several units")
        trained = {name for name, seen in scene.first.gradients.items() if seen.requires_grad}
        bad = [name for name, one in weights.items() if name in trained and _is_one_row(one)]
        if not bad:
            return passed(self, f"0 of {len(weights)} matrices have equal units", 0.0)
        # a projection that begins at zero is told apart from units that cannot be told apart
        unbroken = [name for name in bad if bool(weights[name].any())]
        zeros = [name for name in bad if name not in unbroken]
        dead = [name for name in zeros if _gets_nothing(scene, name)]
        if not unbroken and len(dead) < 2:
            seen = f"{len(zeros)} of {len(weights)} matrices begin at zero, with random ones around"
            return passed(self, seen, 0.0)
        names = unbroken or dead
        site = names[0].rpartition(".")[0]
        units = len(weights[names[0]])
        said = finding(
            self,
            f"All {units} units of {site} have the same weights, and so have those of "
            f"{len(names)} of {len(weights)} matrices: they get the same gradients and stay equal. "
            "Expected random ones: call the layer's reset_parameters().",
            severity=Severity.CRITICAL,
            site=site or None,
            evidence={"matrices": names[:8], "units": units},
        )
        return failed(self, f"{len(names)} of {len(weights)} matrices", len(names), findings=[said])


def _matrices(model: nn.Module, min_units: int) -> dict[str, Tensor]:
    """Weight matrices of layers, a row per unit, by the parameter's name."""
    found: dict[str, Tensor] = {}
    for path, module in model.named_modules():
        if not isinstance(module, _KINDS):
            continue
        for name, weight in module.named_parameters(recurse=False):
            if "weight" in name and not is_lazy(weight) and weight.dim() > 1:
                rows = weight.detach().flatten(1)
                if len(rows) >= min_units and rows.shape[1] > 1:
                    found[f"{path}.{name}" if path else name] = rows
    return found


def _is_one_row(rows: Tensor) -> bool:
    """Whether every unit has the same weights, and every input too or the units would still mix."""
    same_units = torch.equal(rows, rows[:1].expand_as(rows))
    return bool(same_units)


def _gets_nothing(scene: Scene, name: str) -> bool:
    """Whether a matrix got no gradient, or one of zeros: zero layers on both sides."""
    gradient = scene.first.gradients[name].gradient
    return gradient is None or not gradient.rms > 0
