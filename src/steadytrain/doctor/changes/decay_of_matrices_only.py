"""Weight decay is left to the matrices inside the network; everything else is spared."""

from __future__ import annotations

from torch import nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.scene import Scene, models_of, optimizers_of


def apply(program: Program, _scene: Scene) -> Program | None:
    """Gains, biases, embeddings and the last layer lose their decay, in groups of their own."""
    spared = {id(p) for model in models_of(program) for p in _spared(model)}
    changed = False
    for optimizer in optimizers_of(program):
        for group in optimizer.param_groups:
            own = [p for p in group["params"] if id(p) in spared]
            others = [p for p in group["params"] if id(p) not in spared]
            if not group.get("weight_decay", 0) or not own:
                continue
            changed = True
            if not others:
                group["weight_decay"] = 0.0
            else:
                group["params"] = others
                settings = {k: v for k, v in group.items() if k not in ("params", "weight_decay")}
                optimizer.add_param_group({"params": own, "weight_decay": 0.0, **settings})
    return _with_schedule(program) if changed else None


def _spared(model: nn.Module) -> list[nn.Parameter]:
    layers = [
        one for one in model.modules() if next(one.parameters(recurse=False), None) is not None
    ]
    tables = [p for one in layers if isinstance(one, nn.Embedding) for p in one.parameters()]
    last = list(layers[-1].parameters(recurse=False)) if len(layers) > 1 else []
    return [p for p in model.parameters() if p.ndim < 2] + tables + last


def _with_schedule(program: Program) -> Program:
    """A schedule that knows a rate per group knows one for the new groups."""
    for schedule in (program.scheduler, *program.extra.values()):
        groups = getattr(getattr(schedule, "optimizer", None), "param_groups", None)
        if groups is None or not hasattr(schedule, "base_lrs"):
            continue
        more = len(groups) - len(schedule.base_lrs)
        schedule.base_lrs = [*schedule.base_lrs, *([schedule.base_lrs[0]] * more)]
        if hasattr(schedule, "lr_lambdas"):
            schedule.lr_lambdas = [*schedule.lr_lambdas, *([schedule.lr_lambdas[0]] * more)]
    return program


CHANGE = change(
    "decay-matrices-only",
    __doc__,
    text="weight decay on inner matrices only",
    size=1,
    apply=apply,
)
