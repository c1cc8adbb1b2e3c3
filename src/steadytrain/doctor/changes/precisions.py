"""Everything is computed in float32, or the loss is scaled before backward and unscaled after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor
from torch.optim import Optimizer

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._calls import Handlers, Interception
from steadytrain.doctor.changes._gradients import (
    around_backward,
    around_updates,
    parameters_of,
    scalers_of,
    trained,
)
from steadytrain.doctor.changes._wrapping import (
    Within,
    intercept_models,
    put_around,
    put_around_step,
)
from steadytrain.doctor.scene import Scene, models_of, optimizers_of

LOW: Final = (torch.float16, torch.bfloat16)
SCALE: Final = 2.0**16


def float32(program: Program, _scene: Scene) -> Program:
    """Weights, activations and the optimizers' memory; casts to less are casts to float32."""
    for model in models_of(program):
        model._apply(_raised)
    for optimizer in optimizers_of(program):
        for state in optimizer.state.values():
            state.update({k: _raised(v) for k, v in state.items()})
    program.precision, program.scaler = "fp32", None if program.step_fn is None else program.scaler
    if program.metric_fn is not None:
        program.metric_fn = Within(program.metric_fn, _in_float32)
    return put_around(intercept_models(program, _Raising), _in_float32)


def loss_scaler(program: Program, _scene: Scene) -> Program | None:
    """Gradients are carried at 65,536 times their size, and an overflow skips the step."""
    if program.step_fn is not None:
        return put_around_step(program, _scaling) if not scalers_of(program) else None
    if program.scaler is not None:
        return None
    device = next(iter(program.model.parameters())).device.type
    program.scaler = torch.amp.GradScaler(device, init_scale=SCALE)
    return program


def unscale_first(program: Program, _scene: Scene) -> Program | None:
    """The user's step sees unscaled gradients from the moment that backward returns."""
    return put_around_step(program, _scaling) if scalers_of(program) else None


def _raised(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in LOW else value


class _Raising(dict[str, Any]):
    """A handler for every function: no argument names a low precision, no autocast is on."""

    def get(self, _name: str, _default: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _raise_precision


def _raise_precision(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            torch.set_autocast_enabled(device, False)
    name = getattr(function, "__name__", "")
    if name in ("half", "bfloat16"):
        return args[0].float()
    swapped = [torch.float32 if _is_low(one) else one for one in args]
    options = {k: torch.float32 if _is_low(v) else v for k, v in kwargs.items()}
    return function(*swapped, **options)


def _is_low(value: Any) -> bool:
    return isinstance(value, torch.dtype) and value in LOW


@contextmanager
def _in_float32(_first: Any) -> Iterator[None]:
    handlers: Handlers = _Raising()
    with Interception(handlers):
        yield


@contextmanager
def _scaling(program: Program) -> Iterator[None]:
    """Backward scales and unscales by itself; the program's own scaler rests."""
    parameters = trained(program)
    scale = float(scalers_of(program)[0].get_scale()) if scalers_of(program) else SCALE

    def scaled(run: Callable[[], Any]) -> Any:
        held = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            parameter.grad = None
        result = run()
        with torch.no_grad():
            for parameter, old in zip(parameters, held, strict=True):
                if parameter.grad is not None:
                    parameter.grad.div_(scale)
                    if old is not None:
                        parameter.grad.add_(old)
                else:
                    parameter.grad = old
        return result

    def skip(optimizer: Optimizer) -> None:
        held = parameters_of(optimizer)
        if not all(p.grad is None or bool(p.grad.isfinite().all()) for p in held):
            for parameter in held:
                parameter.grad = None

    with ExitStack() as stack:
        for scaler in scalers_of(program):
            stack.callback(setattr, scaler, "_enabled", scaler._enabled)
            scaler._enabled = False
        stack.enter_context(around_updates(program, skip))
        stack.enter_context(around_backward(program, scaled, lambda loss: loss * scale))
        yield


CHANGES = (
    change("float32", __doc__, text="everything in float32", size=2, apply=float32),
    change(
        "loss-scaler",
        __doc__,
        text="a loss scaler, and steps that overflow skipped",
        size=2,
        apply=loss_scaler,
    ),
    change(
        "unscale-first",
        __doc__,
        text="gradients unscaled before anything else is done to them",
        size=2,
        apply=unscale_first,
    ),
)
