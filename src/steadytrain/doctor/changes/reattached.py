"""The graph is not cut between the layers: what was detached stays attached."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._calls import Handlers
from steadytrain.doctor.changes._wrapping import intercept_models
from steadytrain.doctor.scene import Scene


def apply(program: Program, _scene: Scene) -> Program:
    """Inside the forward pass of a layer, by a hook, or by `.data` and `.detach()` of a result."""
    for module in program.model.modules():
        if any(True for _ in module.parameters()):
            module.register_forward_hook(_keep, prepend=True)
            module.register_forward_hook(_give_back)
    return intercept_models(program, _handlers)


def _keep(module: nn.Module, _inputs: Any, output: Any) -> None:
    module.__dict__["_attached"] = output


def _give_back(module: nn.Module, _inputs: Any, output: Any) -> Any:
    """The output as the layer made it, where hooks changed nothing but its graph."""
    own = module.__dict__.pop("_attached", None)
    if isinstance(output, Tensor) and isinstance(own, Tensor):
        return own if _is_cut(own, output) else None
    if isinstance(output, tuple) and isinstance(own, tuple) and len(own) == len(output):
        pairs = zip(own, output, strict=True)
        return tuple(a if _is_cut(a, b) else b for a, b in pairs)
    return None


def _is_cut(own: Any, output: Any) -> bool:
    return (
        isinstance(own, Tensor)
        and isinstance(output, Tensor)
        and own.requires_grad
        and not output.requires_grad
        and own.shape == output.shape
        and bool((own.detach() == output).all())
    )


def _handlers() -> Handlers:
    cuts = ("detach", "get data", "detach_")
    return {**dict.fromkeys(cuts, _attached), "numpy": _numbers}


def _attached(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # a parameter's or a whole loss's detach is meant: copies, logging
    values = args[0]
    is_inner = isinstance(values, Tensor) and values.grad_fn is not None and values.numel() > 1
    return values if is_inner else function(*args, **kwargs)


def _numbers(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # the detach before it was not done
    return function(args[0].detach(), *args[1:], **kwargs)


CHANGE = change(
    "reattach", __doc__, text="no tensor detached inside the model", size=3, apply=apply
)
