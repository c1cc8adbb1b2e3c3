"""One setting of the optimizers is put where it usually stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.scene import Scene, optimizers_of

Group = dict[str, Any]


def apply(program: Program, _scene: Scene, *, revise: Callable[[Group], Group]) -> Program | None:
    """`revise` gives the settings of a group that shall be others."""
    changed = False
    for optimizer in optimizers_of(program):
        for group in optimizer.param_groups:
            new = revise(group)
            changed = changed or any(group[name] != value for name, value in new.items())
            group.update(new)
    return program if changed else None


def _eps(group: Group, *, eps: float) -> Group:
    return {"eps": eps} if group.get("eps", 0) and group["eps"] > eps else {}


def _beta2(group: Group, *, beta2: float) -> Group:
    if "alpha" in group and "betas" not in group:
        return {"alpha": min(beta2, group["alpha"])}
    if "betas" not in group or not group["betas"][1] > beta2:
        return {}
    return {"betas": (group["betas"][0], beta2)}


def _momentum(group: Group) -> Group:
    found: Group = {}
    if "momentum" in group and group["momentum"] > 0.9:
        found["momentum"] = 0.9
    if "betas" in group and group["betas"][0] > 0.9:
        found["betas"] = (0.9, max(0.999, group["betas"][1]))
    return found


def _no_momentum(group: Group) -> Group:
    found: Group = {}
    if group.get("momentum", 0) > 0:
        found |= {"momentum": 0.0, "nesterov": False} if "nesterov" in group else {"momentum": 0.0}
    if "betas" in group and group["betas"][0] > 0:
        found["betas"] = (0.0, group["betas"][1])
    return found


def _no_decay(group: Group) -> Group:
    return {"weight_decay": 0.0} if group.get("weight_decay", 0) else {}


def _little_decay(group: Group) -> Group:
    """A thousandth of what is taken of a weight per step, or less."""
    decay = group.get("weight_decay", 0)
    rate = float(group.get("lr", 0))
    return {"weight_decay": 1e-4 / rate} if rate > 0 and decay * rate > 1e-4 else {}


_KINDS = (
    ("adam-eps-small", "eps of 1e-8", partial(_eps, eps=1e-8)),
    ("adam-eps-tiny", "eps of 1e-16", partial(_eps, eps=1e-16)),
    ("beta2-0999", "beta2 of 0.999", partial(_beta2, beta2=0.999)),
    ("beta2-095", "beta2 of 0.95", partial(_beta2, beta2=0.95)),
    ("beta2-09", "beta2 of 0.9", partial(_beta2, beta2=0.9)),
    ("momentum-09", "momentum of 0.9", _momentum),
    ("no-momentum", "no momentum", _no_momentum),
    ("no-weight-decay", "no weight decay", _no_decay),
    ("little-weight-decay", "weight decay that takes at most 1e-4 per step", _little_decay),
)

CHANGES = tuple(
    change(name, __doc__, text=text, size=1, apply=partial(apply, revise=revise))
    for name, text, revise in _KINDS
)
