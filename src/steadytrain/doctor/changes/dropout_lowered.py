"""At most a tenth of the signal is dropped, by modules and by functions."""

from __future__ import annotations

from typing import Any, Final

from torch import nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._calls import Handlers
from steadytrain.doctor.changes._observing import calls_made
from steadytrain.doctor.changes._wrapping import intercept_models
from steadytrain.doctor.scene import Scene, models_of

SHARE: Final = 0.1

_FUNCTIONS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout")


def apply(program: Program, scene: Scene) -> Program | None:
    """None where nothing drops more."""
    changed = False
    for model in models_of(program):
        for module in model.modules():
            name = "p" if isinstance(module, nn.modules.dropout._DropoutNd) else "dropout"
            share = getattr(module, name, None)
            if isinstance(share, float) and share > SHARE:
                setattr(module, name, SHARE)
                changed = True
    calls = calls_made(program, scene, _FUNCTIONS)
    if any(_share(one.args, one.kwargs) > SHARE for one in calls):
        return intercept_models(program, _handlers)
    return program if changed else None


def _handlers() -> Handlers:
    return dict.fromkeys(_FUNCTIONS, _lowered)


def _lowered(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    options = {k: v for k, v in kwargs.items() if k != "p"}
    return function(args[0], min(_share(args, kwargs), SHARE), *args[2:], **options)


def _share(args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    return kwargs["p"] if "p" in kwargs else next(iter(args[1:]), 0.5)


CHANGE = change("less-dropout", __doc__, text="dropout of a tenth at the most", size=1, apply=apply)
