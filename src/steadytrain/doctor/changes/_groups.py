"""Which parameters the optimizers hold, and putting others in."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from steadytrain.core.program import Program
from steadytrain.doctor.changes._gradients import parameters_of
from steadytrain.doctor.scene import models_of, optimizers_of


def missing(program: Program) -> list[nn.Parameter]:
    """Parameters of the models that require a gradient and that no optimizer holds, each once."""
    held = {id(p) for one in optimizers_of(program) for p in parameters_of(one)}
    trainable = (p for one in models_of(program) for p in one.parameters() if p.requires_grad)
    return list({id(p): p for p in trainable if id(p) not in held}.values())


def strangers(program: Program) -> list[Tensor]:
    """Parameters in the main optimizer that are none of the program's models."""
    known = {id(p) for model in models_of(program) for p in model.parameters()}
    return [p for p in parameters_of(program.optimizer) if id(p) not in known]


def hold(optimizer: Optimizer, parameters: list[Any]) -> None:
    """The optimizer trains these too, with the settings of its first group.

    They join that group: a schedule knows a rate for each group it was built with and no more.
    """
    optimizer.param_groups[0]["params"].extend(parameters)


def let_go(optimizer: Optimizer, parameters: list[Any]) -> None:
    """The optimizer holds these no longer."""
    ids = {id(p) for p in parameters}
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if id(p) not in ids]
    for parameter in parameters:
        optimizer.state.pop(parameter, None)


def exchange(program: Program, old: list[Tensor], new: list[Any]) -> None:
    """Whichever optimizer held the old parameters holds the new ones, in the same group.

    Where none did, the new ones join nothing: they were not trained before either.
    """
    ids = {id(p) for p in old}
    for optimizer in optimizers_of(program):
        for group in optimizer.param_groups:
            if any(id(p) in ids for p in group["params"]):
                group["params"] = [p for p in group["params"] if id(p) not in ids] + new
                new = []
        for parameter in old:
            optimizer.state.pop(parameter, None)


def forget(program: Program) -> None:
    """The optimizers remember nothing of earlier gradients."""
    for optimizer in optimizers_of(program):
        optimizer.state.clear()
