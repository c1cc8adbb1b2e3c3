"""The names of what is measured: every parameter once, every module once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.core.errors import UsageError

CONTAINERS: Final = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""Modules that compute nothing of their own: their output is their last child's."""

_WRAPPERS: Final = ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel")


def unwrap(model: nn.Module) -> nn.Module:
    """The user's own module inside `torch.compile` and data-parallel wrappers."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in _WRAPPERS:
            inner = getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def as_models(model: object) -> dict[str, nn.Module]:
    """The model or models to watch, by the prefix of their names.

    Raises:
        UsageError: it is not a module, a mapping or a sequence of modules, or none has a parameter.
    """
    if isinstance(model, nn.Module):
        models = {"": model}
    elif isinstance(model, Mapping):
        models = {str(name): module for name, module in model.items()}
    elif isinstance(model, Sequence) and not isinstance(model, str):
        models = {str(index): module for index, module in enumerate(model)}
    else:
        models = {}
    if not models or not all(isinstance(module, nn.Module) for module in models.values()):
        msg = f"watch(model): got {type(model).__name__}, expected a torch.nn.Module or a dict or"
        raise UsageError(f"{msg} list of modules. Pass the module that holds the parameters.")
    if not any(True for module in models.values() for _ in module.parameters()):
        msg = "watch(model): the model has no parameters, expected at least one. Check that its"
        raise UsageError(f"{msg} layers are attributes, not items of a plain list or dict.")
    return models


def as_optimizers(optimizer: object) -> list[Any]:
    """The optimizers to watch, as a list.

    Raises:
        UsageError: one of them has no param_groups.
    """
    several = isinstance(optimizer, Iterable) and not hasattr(optimizer, "param_groups")
    found: list[Any] = [] if optimizer is None else list(optimizer) if several else [optimizer]  # type: ignore[arg-type]
    for item in found:
        if not hasattr(item, "param_groups") or not hasattr(item, "register_step_pre_hook"):
            msg = f"watch(optimizer): got {type(item).__name__}, expected a torch.optim.Optimizer"
            raise UsageError(f"{msg} or a list of them: pass what you call .step() on.")
    return found


def named_modules(models: Mapping[str, nn.Module]) -> list[tuple[str, nn.Module]]:
    """Every module below the models that computes something, by path; shared ones once."""
    found: list[tuple[str, nn.Module]] = []
    seen: set[int] = set()
    for prefix, model in models.items():
        root = unwrap(model)
        for name, module in root.named_modules(prefix=prefix):
            if id(module) in seen or (module is root and _has_children(root)):
                continue
            seen.add(id(module))
            if not isinstance(module, CONTAINERS):
                found.append((name or type(module).__name__, module))
    return found


def _has_children(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


class ParameterSites:
    """Every parameter of the models and optimizers, once, with its path.

    A parameter that only an optimizer holds is named after its place there.
    """

    def __init__(self, models: Mapping[str, nn.Module], optimizers: Sequence[Any]) -> None:
        self._models = models
        self._optimizers = optimizers
        self.names: list[str] = []
        self._names: dict[str, int] = {}
        self.params: list[Tensor] = []
        self.index: dict[int, int] = {}
        self.owners: dict[int, int] = {}
        """The optimizer that holds a parameter, by the parameter's id."""
        self._current: dict[int, Tensor] = {}
        self._seen: list[list[int]] = []
        self._asked: tuple[list[int], list[int]] = [], []
        self._sizes = np.empty(0)
        self._has_lazy = False
        self.refresh()

    def current(self) -> list[Tensor]:
        """What models and optimizers hold now, in the models' order; new ones are sites.

        A change is noticed when an optimizer's parameters change.
        """
        if self._held() != self._seen:
            self.refresh()
        return list(self._current.values())

    def refresh(self) -> None:
        """Parameters that appeared since are sites now, and those that are gone not current."""
        self._asked = [], []
        self._seen, self._current = self._held(), {}
        self.owners = {param: order for order, held in enumerate(self._seen) for param in held}
        for prefix, model in self._models.items():
            for name, param in unwrap(model).named_parameters(prefix=prefix):
                self._add(name, param)
        for order, optimizer in enumerate(self._optimizers):
            for group, entry in enumerate(optimizer.param_groups):
                for place, param in enumerate(entry["params"]):
                    self._add(f"optimizer{order}.group{group}.{place}", param)

    def _held(self) -> list[list[int]]:
        """The optimizers' parameters by id; ids are not reused, since every one is kept here."""
        return [held_ids(optimizer) for optimizer in self._optimizers]

    def places(self, params: Iterable[Tensor]) -> list[int]:
        """The site of every parameter, -1 where it is none."""
        ids = list(map(id, params))
        if ids != self._asked[0]:  # the same ones are asked for several times a step
            self._asked = ids, [self.index.get(param, -1) for param in ids]
        return self._asked[1]

    def _add(self, name: str, param: Tensor) -> None:
        self._current.setdefault(id(param), param)
        if id(param) not in self.index:
            self.index[id(param)] = len(self.names)
            self.names.append(self._free(name))
            self.params.append(param)

    def _free(self, name: str) -> str:
        """`name`, or with a number where a parameter that was replaced has it."""
        if name not in self._names:
            self._names[name] = 1
            return name
        self._names[name] += 1
        return self._free(f"{name}#{self._names[name]}")

    def sizes(self) -> NDArray[np.float64]:
        """Elements of every parameter; 0 for one that is not built yet."""
        if len(self._sizes) != len(self.params) or self._has_lazy:
            lazy = [is_lazy(param) for param in self.params]
            sizes = [0 if late else p.numel() for p, late in zip(self.params, lazy, strict=True)]
            self._sizes, self._has_lazy = np.array(sizes, dtype=np.float64), any(lazy)
        return self._sizes

    def held(self) -> dict[int, bool]:
        """For every site that requires a gradient: whether an optimizer holds it."""
        owned = {id(p) for o in self._optimizers for g in o.param_groups for p in g["params"]}
        return {
            site: id(param) in owned
            for site, param in enumerate(self.params)
            if param.requires_grad and id(param) in self._current
        }


def held_ids(optimizer: Any) -> list[int]:
    """Every parameter in the optimizer's groups, by id."""
    return [*chain.from_iterable(map(id, group["params"]) for group in optimizer.param_groups)]


def is_measurable(param: Tensor) -> bool:
    """Whether norms of the tensor mean something here: a materialised plain float tensor."""
    return (
        not is_lazy(param)
        and not param.is_meta
        and not hasattr(param, "to_local")
        and (param.is_complex() or param.dtype in _FLOATS)
        and param.layout is torch.strided
    )


_FLOATS: Final = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
