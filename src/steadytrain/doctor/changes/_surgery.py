"""Replacing and extending the modules of a model, with the optimizers following."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.changes._groups import exchange, hold, missing
from steadytrain.doctor.changes._observing import Ran
from steadytrain.doctor.scene import models_of

INSERTED = "inserted"
"""The name under which a module that was put behind another is its child."""

ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Sigmoid,
    nn.Tanh,
    nn.Hardtanh,
    nn.Softmax,
    nn.LogSoftmax,
    nn.Softplus,
)

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)

NORMS = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
)

Make = Callable[[Any], nn.Module | None]


def replace_modules(program: Program, make: Make) -> bool:
    """Every module for which `make` gives another is replaced under its name; True if any was.

    The optimizer that held the parameters of the old one holds those of the new one.
    """
    changed = False
    for model in models_of(program):
        for path, module in list(model.named_modules()):
            new = make(module) if path else None
            if new is not None and new is not module:
                put(model, path, new.train(module.training))
                _follow(program, module, new)
                changed = True
    return changed


def put(model: nn.Module, path: str, module: nn.Module) -> None:
    """The module stands at the path."""
    above, _, name = path.rpartition(".")
    setattr(model.get_submodule(above) if above else model, name, module)


def put_behind(program: Program, module: nn.Module, new: nn.Module) -> None:
    """What `module` gives back goes through `new`, which is a child of it from now on."""
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    module.add_module(INSERTED, new.to(device).train(module.training))
    module.register_forward_hook(_through_inserted)
    hold(program.optimizer, missing(program))


def put_before(program: Program, module: nn.Module, new: nn.Module) -> None:
    """What `module` is given goes through `new` first, which is a child of it from now on."""
    module.add_module(INSERTED, new)
    module.register_forward_pre_hook(_inserted_first)
    hold(program.optimizer, missing(program))


def add_input(module: nn.Module, _inputs: Any, output: Any) -> Any:
    """A forward hook: the module's input is added to what it gives back, where that can be."""
    given = _inputs[0] if _inputs else None
    if isinstance(given, Tensor) and isinstance(output, Tensor) and given.shape == output.shape:
        return given + output * getattr(module, "branch_scale", 1.0)
    return output


def last_weighted(seen: Iterable[Ran]) -> int:
    """The place of the last module with parameters; -1 where there is none."""
    places = [k for k, one in enumerate(seen) if any(True for _ in one.module.parameters())]
    return places[-1] if places else -1


def _through_inserted(module: nn.Module, _inputs: Any, output: Any) -> Any:
    return getattr(module, INSERTED)(output)


def _inserted_first(module: nn.Module, inputs: Any) -> Any:
    return (getattr(module, INSERTED)(inputs[0]), *inputs[1:])


def _follow(program: Program, old: nn.Module, new: nn.Module) -> None:
    kept = {id(p) for p in new.parameters()}
    gone: list[Tensor] = [p for p in old.parameters() if id(p) not in kept]
    before = {id(p) for p in old.parameters()}
    fresh = [p for p in new.parameters() if id(p) not in before]
    if gone:
        exchange(program, gone, fresh)
    elif fresh:
        hold(program.optimizer, missing(program))
