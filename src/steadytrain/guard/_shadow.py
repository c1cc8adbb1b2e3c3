"""What a forward and a backward pass may change beside the gradients, kept to be put back.

Buffers (running statistics), what a module carries from call to call in plain attributes (a hidden
state, a counter), the gradients there were, and the random sources. Parameters and moments are not
copied: nothing writes to them before the step is judged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.guard._parts import modules_of
from steadytrain.snapshots import RandomSources
from steadytrain.snapshots.tensors import copy_all

_MODULE_OWN: Final = frozenset(vars(nn.Module())) - {"training"}
_CONTAINERS: Final = (list, dict, set, deque)


class Shadow:
    """The state before a step of everything that is not a parameter or a moment.

    Args:
        models: whose buffers and attributes.
        sources: the random sources a step draws from.

    Cost: a copy of the buffers and of tensors among the attributes, and the random states.
    """

    def __init__(self, models: Iterable[nn.Module], sources: RandomSources) -> None:
        self._models = list(models)
        self._sources = sources
        self._random: dict[str, Any] | None = None
        self._tensors: list[Tensor] = []
        self._copies: list[Tensor] = []
        self._memory: list[Tensor] = []
        self._buffers: list[tuple[nn.Module, dict[str, Tensor | None]]] = []
        self._attributes: list[tuple[nn.Module, dict[str, Any]]] = []
        self._containers: list[tuple[Any, Any]] = []
        self._generators: list[tuple[torch.Generator, Tensor]] = []

    @torch.no_grad()
    def take(self) -> None:
        """The state is kept as it is now."""
        self.forget()
        self._random = self._sources.capture()
        for module in modules_of(self._models):
            self._keep(module)
        self._copy_all()

    @torch.no_grad()
    def put_back(self) -> None:
        """Everything is as it was when it was taken; nothing if nothing was."""
        if self._random is None:
            return
        for module, buffers in self._buffers:
            module._buffers.clear()
            module._buffers.update(buffers)
        for module, attributes in self._attributes:
            _put_back_attributes(module, attributes)
        for container, content in self._containers:
            _refill(container, content)
        copy_all(self._tensors, self._copies)
        for generator, state in self._generators:
            generator.set_state(state)
        self._sources.restore(self._random)

    def forget(self) -> None:
        """Nothing is kept any more."""
        self._random = None
        self._tensors, self._copies, self._buffers = [], [], []
        self._attributes, self._containers, self._generators = [], [], []

    def _keep(self, module: nn.Module) -> None:
        if module._buffers:
            self._buffers.append((module, dict(module._buffers)))
            for buffer in module._buffers.values():
                self._note(buffer)
        if type(module).__module__.startswith("torch."):
            return  # torch's own modules carry nothing but buffers; its wrappers must keep theirs
        own = {name: value for name, value in vars(module).items() if name not in _MODULE_OWN}
        self._attributes.append((module, own))
        for value in own.values():
            self._carried(value)

    def _carried(self, value: Any) -> None:
        """What a plain attribute holds is kept, one level deep."""
        kind = type(value)
        if kind is torch.Generator:
            self._generators.append((value, value.get_state()))
        elif kind is Tensor:
            self._note(value)
        elif kind in (*_CONTAINERS, tuple):
            if kind is not tuple:
                self._containers.append((value, value.copy()))
            for item in value.values() if kind is dict else value:
                self._note(item)

    def _note(self, value: Any) -> None:
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            if is_lazy(value) or value.device.type == "meta":
                return
            # a tensor in the graph of an earlier step is read only: writing would break its graph
            if value.grad_fn is None and not value.requires_grad:
                self._tensors.append(value)

    def _copy_all(self) -> None:
        """Into the memory of the step before where that fits: nearly always, and in one pass."""
        places = map(_place, self._tensors)
        if list(places) == list(map(_place, self._memory)):
            copy_all(self._memory, self._tensors)
        else:
            self._memory = [tensor.clone() for tensor in self._tensors]
        self._copies = self._memory


def _place(tensor: Tensor) -> tuple[object, ...]:
    """What a copy must have in common with the tensor."""
    plain = type(tensor) is Tensor and tensor.layout is torch.strided
    return (tensor.shape, tensor.dtype, tensor.device) if plain else (id(tensor),)


def _put_back_attributes(module: nn.Module, attributes: dict[str, Any]) -> None:
    now = vars(module)
    for name in [name for name in now if name not in attributes and name not in _MODULE_OWN]:
        del now[name]
    for name, value in attributes.items():
        if now.get(name, module) is not value:
            now[name] = value


def _refill(container: Any, content: Any) -> None:
    container.clear()
    if isinstance(container, dict | set):
        container.update(content)
    else:
        container.extend(content)


class Gradients:
    """The gradients there were before a step, and the way back to them.

    Args:
        parameters: whose gradients.

    Cost: nothing where there are none, as after every step of the guard's own; else a copy.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self._parameters = list(parameters)
        self._held = [
            (parameter, parameter.grad, parameter.grad.detach().clone())
            for parameter in self._parameters
            if parameter.grad is not None
        ]

    @torch.no_grad()
    def put_back(self) -> None:
        """The gradients are the tensors they were, with the numbers they had."""
        self.clear()
        for parameter, grad, copy in self._held:
            if grad.layout is torch.strided:
                parameter.grad = grad
                grad.copy_(copy)
            else:
                parameter.grad = copy

    def clear(self) -> None:
        """No parameter has a gradient, so that no optimizer has anything to do."""
        for parameter in self._parameters:
            parameter.grad = None
