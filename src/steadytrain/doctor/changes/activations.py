"""Hidden activations are replaced by one that passes a gradient everywhere."""

from __future__ import annotations

from typing import Any, Final

from torch import nn
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._calls import Handlers
from steadytrain.doctor.changes._observing import Ran, calls_made, executed
from steadytrain.doctor.changes._surgery import last_weighted, replace_modules
from steadytrain.doctor.changes._wrapping import intercept_models
from steadytrain.doctor.scene import Scene

SLOPE: Final = 0.1

_SATURATING = (nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid)


def leaky(program: Program, scene: Scene) -> Program | None:
    """ReLU becomes leaky, as a module or as a function."""
    changed = replace_modules(
        program, lambda one: nn.LeakyReLU(SLOPE) if type(one) in (nn.ReLU, nn.ReLU6) else None
    )
    if calls_made(program, scene, ("relu", "relu_")):
        return intercept_models(program, _leaky_handlers)
    return program if changed else None


def smooth(program: Program, scene: Scene) -> Program | None:
    """Saturating and clipping activations become GELU; those behind the last layer stay."""
    seen = executed(program, scene)
    last = last_weighted(seen)
    kinds = (*_SATURATING, nn.ReLU)
    hidden = {one.path for one in seen[:last] if isinstance(one.module, kinds)}
    models = {id(program.model.get_submodule(path)) for path in hidden}
    if not replace_modules(program, lambda one: nn.GELU() if id(one) in models else None):
        return None
    return program


def final(program: Program, scene: Scene) -> Program | None:
    """What bounds the output behind the last layer is taken away."""
    seen = executed(program, scene)
    kinds = (*_SATURATING, nn.ReLU, nn.ReLU6, nn.Softmax, nn.LogSoftmax, nn.Softplus)
    last = last_weighted(seen)
    paths = {one.path for one in seen[last + 1 :] if isinstance(one.module, kinds)}
    paths -= {one.path for one in seen if _feeds_a_layer(one, seen)}
    chosen = {id(program.model.get_submodule(path)) for path in paths}
    if not replace_modules(program, lambda one: nn.Identity() if id(one) in chosen else None):
        return None
    return program


def _feeds_a_layer(activation: Ran, seen: list[Ran]) -> bool:
    """Whether a layer with weights reads what the activation gave, where it ran before."""
    readers = (one for one in seen if one.inputs and one.inputs[0] is activation.output)
    return any(True for one in readers for _ in one.module.parameters())


def _leaky_handlers() -> Handlers:
    return {"relu": _leaky, "relu_": _leaky}


def _leaky(_function: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Any:
    return functional.leaky_relu(args[0], SLOPE)


CHANGES = (
    change("leaky-relu", __doc__, text="leaky ReLU instead of ReLU", size=4, apply=leaky),
    change("gelu", __doc__, text="GELU in the hidden layers", size=4, apply=smooth),
    change(
        "no-final-activation",
        __doc__,
        text="no activation behind the last layer",
        size=4,
        apply=final,
    ),
)
