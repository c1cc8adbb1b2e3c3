"""One bit of one weight changes between two steps.

## What is wrong
A memory cell flips the highest bit but one of a weight's exponent: 0.03 becomes 1e37. Nothing in
the program did it, and the same step run again does not do it.

## Remedy
Restore the step before, run it again, and have the machine checked.

## Source
Dixit et al. 2021 (Silent data corruptions at scale); Meta's report on Llama 3, section 3.3.4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import matrices
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import fault

_ONSET = 60
_HIGH_BIT = 30


def flip(weight: Tensor, place: int) -> None:
    """The bit of one element is the other one."""
    bits = weight.data.view(-1).view(torch.int32)
    bits[place] ^= 1 << _HIGH_BIT


def _step(program: Program, batch: Any) -> Tensor:
    if program.step == program.extra["step of the flip"]:
        layer = program.model.get_submodule(program.extra["layer"])
        weight = layer.get_parameter("weight")
        flip(weight, program.extra["place"] % weight.numel())
    return right_step(program, batch)


def prepare(parts: Parts) -> None:
    """A loop of one's own that could do it."""
    parts.extra |= {"step of the flip": -1, "layer": _layer(parts), "place": 7}
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """It does it once."""
    parts.extra["step of the flip"] = _ONSET


def _layer(parts: Parts) -> str:
    return parts.case.pick("layer", matrices(parts.model)[:2])


def sites(parts: Parts) -> tuple[str, ...]:
    """The weight."""
    return (f"{_layer(parts)}.weight",)


FAULT = fault(
    __name__,
    __doc__,
    cause="hardware-fault",
    on=("mlp", "cnn", "tabular", "vit"),
    plant=plant,
    prepare=prepare,
    sites=sites,
    onset=_ONSET,
    steps=120,
)
