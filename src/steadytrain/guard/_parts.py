"""What a guard holds of a training loop, sorted by what a step does with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a loop; every sequence may be empty but the first two."""

    models: Sequence[nn.Module]
    optimizers: Sequence[Any]
    schedulers: Sequence[Any] = ()
    averages: Sequence[Any] = ()
    scaler: Any = None
    others: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Restored by a rollback, never stepped."""
    whole: Mapping[str, Any] | None = None
    """Everything a rollback restores by name, where the owner of the loop knows it better."""

    def named(self) -> dict[str, Any]:
        """Every part by a name that a person can read in a message."""
        if self.whole is not None:
            return dict(self.whole)
        found: dict[str, Any] = {}
        for name, parts in (
            ("model", self.models),
            ("optimizer", self.optimizers),
            ("scheduler", self.schedulers),
            ("ema", self.averages),
        ):
            many = len(parts) > 1
            found |= {f"{name}[{place}]" if many else name: one for place, one in enumerate(parts)}
        if self.scaler is not None:
            found["scaler"] = self.scaler
        return found | {f"others[{name!r}]": part for name, part in self.others.items()}

    def average_modules(self) -> list[nn.Module]:
        """The averages that are modules themselves."""
        return [one for one in self.averages if isinstance(one, nn.Module)]

    def parameters(self) -> list[Tensor]:
        """Every parameter of the models and the optimizers, once."""
        found: dict[int, Tensor] = {
            id(p): p
            for module in modules_of(self.models)
            for p in module._parameters.values()
            if p is not None
        }
        for optimizer in self.optimizers:
            for p in held(optimizer):
                found[id(p)] = p
        return list(found.values())

    def parameter_names(self) -> dict[int, str]:
        """The name of every parameter by its id; that of the optimizer's group elsewhere."""
        names = {
            id(p): f"optimizer group {place}, parameter {index}"
            for optimizer in self.optimizers
            for place, group in enumerate(optimizer.param_groups)
            for index, p in enumerate(group["params"])
        }
        for model in reversed(self.models):
            names |= {id(p): name for name, p in model.named_parameters()}
        return names

    def clear_gradients(self) -> None:
        """No parameter has a gradient."""
        for parameter in self.parameters():
            parameter.grad = None


def modules_of(models: Iterable[nn.Module]) -> list[nn.Module]:
    """Every module once. Torch's own walk makes every name too, which costs several times as much."""
    found: dict[int, nn.Module] = {}
    waiting = list(models)
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            waiting.extend(one for one in module._modules.values() if one is not None)
    return list(found.values())


def held(optimizer: Any) -> Iterator[Tensor]:
    """Every parameter the optimizer steps."""
    for group in optimizer.param_groups:
        yield from group["params"]


def with_gradients(optimizers: Iterable[Any]) -> list[Tensor]:
    """The parameters of the optimizers that have a gradient with elements, once."""
    found: dict[int, Tensor] = {}
    for optimizer in optimizers:
        for p in held(optimizer):
            if not is_lazy(p) and p.grad is not None and p.grad.numel():
                found[id(p)] = p
    return list(found.values())


def listed(name: str, given: Any, method: str) -> list[Any]:
    """One object or several, as a list without those that are None.

    Raises:
        UsageError: one of them has no `method`.
    """
    if isinstance(given, Mapping):
        given = given.values()
    several = isinstance(given, Iterable) and not isinstance(given, nn.Module)
    found = [one for one in (given if several else [given]) if one is not None]
    for one in found:
        if not callable(getattr(one, method, None)):
            msg = f"Guard.attach({name}): got {type(one).__name__}, expected an object with"
            raise UsageError(f"{msg} {method}(). Pass the {name} itself, or a list of them.")
    return found


def updater_of(average: Any, model: nn.Module) -> Callable[[], Any]:
    """What updates an average of weights: torch's, timm's, ema-pytorch's and the like.

    Raises:
        UsageError: the object cannot be updated.
    """
    if callable(update := getattr(average, "update_parameters", None)):
        return lambda: update(model)
    if callable(update := getattr(average, "update", None)):
        return (lambda: update(model)) if _takes_an_argument(update) else update
    msg = f"Guard.attach(ema): got {type(average).__name__}, expected an object with"
    raise UsageError(f"{msg} update_parameters(model) or update(): such as torch's AveragedModel.")


def _takes_an_argument(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(one.kind in kinds and one.default is one.empty for one in parameters)


def device_of(models: Iterable[nn.Module]) -> torch.device:
    """Where the first parameter is."""
    for model in models:
        for parameter in model.parameters():
            return parameter.device
    return torch.device("cpu")


def enabled(scaler: Any) -> Any:
    """The loss scaler, None where there is none or it is switched off.

    Raises:
        UsageError: it is no loss scaler.
    """
    if scaler is None:
        return None
    if not callable(getattr(scaler, "is_enabled", None)):
        msg = f"Guard.attach(scaler): got {type(scaler).__name__}, expected a torch.amp.GradScaler"
        raise UsageError(f"{msg}. Pass the one whose .scale() the loop calls, or leave it out.")
    return scaler if scaler.is_enabled() else None
