"""The gates of an LSTM or GRU begin so far shut that nothing of the sequence enters.

## What it does
Reads the biases of the input and output gates of every `nn.LSTM` and of the update gate of every
`nn.GRU`, and compares how far they are open with the length of the sequences in the first batch.

## Why it matters
A gate with a bias of minus eight lets a three-thousandth of each step through and has no slope to
open by: the state stays zero over the whole sequence, and the network cannot read.

## Passes when
Over the sequence, what the median unit lets in adds up to a tenth of one step or more. (Biases set
for long memories open a gate for one step of the whole sequence, and pass.)

## Fails when
It adds up to less.

## What to do
Biases of zero for input and output gates, of one for forget gates.

## Source
Gers, Schmidhuber, Cummins 2000; Jozefowicz et al. 2015; Tallec & Ollivier 2018 on biases for long
memories, which are within the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity


@check(code="INI260", causes=("saturated-activation",), stage="architecture")
@dataclass(frozen=True, slots=True, kw_only=True)
class ShutGates:
    """Options of the check."""

    min_opening: float = 0.1
    """How far the median gate is open, times the steps of a sequence."""

    def judge(self, scene: Scene, /) -> Answer:
        gates = list(_gates(scene))
        if not gates:
            return not_applicable(self, "no LSTM or GRU with biases ran")
        path, kind, opening, steps = min(gates, key=lambda gate: gate[2] * gate[3])
        seen = f"the {kind} gate is {number(opening)} open over {steps} steps"
        if opening * steps >= self.min_opening:
            return passed(self, seen, opening)
        said = finding(
            self,
            f"The {kind} gate of {path or 'the model'} begins {number(opening)} open, and a sequence has "
            f"{steps} steps: hardly anything passes, and there is no slope to open it by. Set its biases "
            "to zero (to one for forget gates).",
            severity=Severity.CRITICAL,
            site=path or None,
            evidence={"opening": opening, "steps": steps},
        )
        return failed(self, seen, opening, findings=[said])


def _gates(scene: Scene) -> Iterator[tuple[str, str, float, int]]:
    """Path, gate, how far its median unit is open, and the steps of a sequence."""
    cells = {
        path: module
        for path, module in scene.model.named_modules()
        if isinstance(module, nn.LSTM | nn.GRU) and module.bias
    }
    for seen in scene.first.modules:
        cell = cells.get(seen.path)
        if cell is None or not seen.inputs or len(seen.inputs[0].shape) != 3:
            continue
        steps = seen.inputs[0].shape[1 if cell.batch_first else 0]
        for kind, bias in _biases(cell):
            yield seen.path, kind, float(torch.sigmoid(bias).median()), steps


def _biases(cell: nn.LSTM | nn.GRU) -> Iterator[tuple[str, Tensor]]:
    """The biases of the gates through which what is read must pass, open where they are high."""
    own = dict(cell.named_parameters())
    for name, bias in own.items():
        if not name.startswith("bias_ih"):
            continue
        both = bias.detach().float() + own[name.replace("bias_ih", "bias_hh")].detach().float()
        parts = both.split(cell.hidden_size)
        if isinstance(cell, nn.LSTM):
            yield "input", parts[0]
            yield "output", parts[3]
        else:
            yield "update", -parts[1]  # torch's update gate keeps the state where it is open
