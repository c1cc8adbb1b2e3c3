"""The optimizers hold exactly the parameters that the model trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._groups import hold, let_go, missing, strangers
from steadytrain.doctor.scene import Scene


def added(program: Program, _scene: Scene) -> Program | None:
    """What no optimizer holds joins the main one."""
    left_out = missing(program)
    if not left_out:
        return None
    hold(program.optimizer, left_out)
    return program


def rebuilt(program: Program, _scene: Scene) -> Program | None:
    """Parameters that the model no longer has are replaced by those that stand in their place."""
    old, new = strangers(program), missing(program)
    if not old:
        return None
    partners = _partners(old, new)
    gone = {id(p) for p in old}
    for group in program.optimizer.param_groups:
        kept = [partners.get(id(p), None if id(p) in gone else p) for p in group["params"]]
        group["params"] = [p for p in kept if p is not None]
    let_go(program.optimizer, old)
    hold(program.optimizer, missing(program))
    return program


def unfrozen(program: Program, _scene: Scene) -> Program | None:
    """Every parameter requires a gradient and is held."""
    frozen = [p for p in program.model.parameters() if not p.requires_grad]
    frozen = [p for p in frozen if p.is_floating_point()]
    for parameter in frozen:
        parameter.requires_grad_(True)
    hold(program.optimizer, left_out := missing(program))
    return program if frozen or left_out else None


def registered(program: Program, _scene: Scene) -> Program | None:
    """Modules and trainable tensors in plain lists and dicts become part of the model."""
    found = [one for module in list(program.model.modules()) for one in _register(module)]
    if not found:
        return None
    hold(program.optimizer, missing(program))
    return program


def tied(program: Program, _scene: Scene) -> Program | None:
    """The last layer reads the matrix of the embedding that has its shape."""
    tables = [one for one in program.model.modules() if isinstance(one, nn.Embedding)]
    heads = [one for one in program.model.modules() if isinstance(one, nn.Linear)]
    for head in reversed(heads):
        for table in tables:
            if head.weight.shape == table.weight.shape and head.weight is not table.weight:
                let_go(program.optimizer, [head.weight])
                head.weight = table.weight
                hold(program.optimizer, missing(program))
                return program
    return None


def _partners(old: list[Tensor], new: list[Any]) -> dict[int, Any]:
    """For each old parameter the first new one of its shape, in order."""
    left = list(new)
    found: dict[int, Any] = {}
    for parameter in old:
        for place, other in enumerate(left):
            if other.shape == parameter.shape:
                found[id(parameter)] = left.pop(place)
                break
    return found


def _register(module: nn.Module) -> list[str]:
    """The names of the attributes of `module` that were made modules or parameters."""
    changed: list[str] = []
    for name, value in list(vars(module).items()):
        new = _as_module(value) if not name.startswith("_") else None
        if new is not None:
            delattr(module, name)
            setattr(module, name, new)
            changed.append(name)
    return changed


def _as_module(value: Any) -> Any:
    """The list, dict or tensor as what `nn.Module` finds; None where there is nothing to find."""
    if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
        return nn.Parameter(value.detach()) if not isinstance(value, nn.Parameter) else None
    parts = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(parts, list | tuple) or not parts:
        return None
    if all(_is_trainable(one) for one in parts):
        leaves = [one if isinstance(one, nn.Parameter) else nn.Parameter(one) for one in parts]
        return nn.ParameterList(leaves) if not isinstance(value, dict) else None
    made = [one if isinstance(one, nn.Module) else _as_module(one) for one in parts]
    if not all(isinstance(one, nn.Module) for one in made):
        return None
    if isinstance(value, dict):
        return nn.ModuleDict({str(k): one for k, one in zip(value, made, strict=True)})
    return nn.ModuleList(made)


def _is_trainable(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad and value.is_leaf


CHANGES = (
    change(
        "add-params",
        __doc__,
        text="every parameter of the model in the optimizer",
        size=2,
        apply=added,
    ),
    change(
        "rebuild-optimizer",
        __doc__,
        text="the optimizer rebuilt on the model's current parameters",
        size=2,
        apply=rebuilt,
    ),
    change("unfreeze", __doc__, text="all parameters trainable", size=2, apply=unfrozen),
    change(
        "register-modules",
        __doc__,
        text="modules in plain lists registered",
        size=2,
        apply=registered,
    ),
    change("tie-weights", __doc__, text="output layer tied to the embedding", size=2, apply=tied),
)
