"""From live objects to the tree of a snapshot; nothing here changes what it looks at."""

from __future__ import annotations

import copy
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from steadytrain.snapshots.nodes import (
    LEFT,
    Array,
    AttributesNode,
    Items,
    Leaf,
    Left,
    ModuleNode,
    Opaque,
    OptimizerNode,
    RandomNode,
    Row,
    StateNode,
    Value,
)
from steadytrain.snapshots.tensors import has_data, identity

PLAIN: Final = (
    type(None), bool, int, float, complex, str, bytes,
    torch.dtype, torch.device, torch.Size,
)  # fmt: skip
ROWS: Final[dict[type, str]] = {
    list: "list", tuple: "tuple", set: "set", frozenset: "frozenset", deque: "deque",
}  # fmt: skip
DICTIONARIES: Final[dict[type, str]] = {
    dict: "dict", OrderedDict: "ordered", defaultdict: "default", Counter: "counter",
}  # fmt: skip
GENERATORS: Final = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)

_MODULE_OWN: Final = frozenset(vars(nn.Module()))
_OPTIMIZER_OWN: Final = ("state", "param_groups", "defaults")


class Capture:
    """Walks over live objects; afterwards `tensors` are those the leaves stand for.

    An object that is met again is left to its first place, so that references between the
    parts (a schedule's optimizer, the model an average follows) cost nothing.
    """

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.names: list[str] = []
        """The path of each tensor where it was met first."""
        self.uncovered: list[str] = []
        """Paths that no snapshot can hold."""
        self._indices: dict[tuple[object, ...], int] = {}
        self._leaves: dict[int, Leaf] = {}
        self._seen: dict[int, object] = {}
        self._holding: list[object] = []

    def live(self, value: Any, path: str) -> Any:
        """The node of a live object, which a restore changes in place."""
        if (node := self._simple(value, path, self.live)) is not None:
            return node
        if id(value) in self._seen:
            return LEFT
        self._seen[id(value)] = value
        if isinstance(value, nn.Module):
            return self._module(value, path)
        if isinstance(value, torch.optim.Optimizer):
            return self._optimizer(value, path)
        if isinstance(value, GENERATORS):
            return RandomNode(type(value).__name__, self.saved(random_state(value), path))
        if has_state(value):
            return StateNode(type(value).__name__, self.saved(value.state_dict(), path))
        if (row := self._container(value, path, self.live)) is not None:
            return row
        return self._attributes(value, path)

    def saved(self, value: Any, path: str) -> Any:
        """The node of something that a state_dict gave: a restore builds it anew."""
        node = self._simple(value, path, self.saved)
        node = self._container(value, path, self.saved) if node is None else node
        return self._opaque(value, path) if node is None else node

    def leaf(self, tensor: Tensor, path: str) -> Leaf:
        """The leaf of a tensor; the same memory read the same way has one leaf only."""
        known = self._leaves.get(id(tensor))
        if known is not None:
            return known
        key = identity(tensor)
        if key not in self._indices:
            self._indices[key] = len(self.tensors)
            self.tensors.append(tensor)
            self.names.append(path)
        self._holding.append(tensor)
        leaf = self._leaves[id(tensor)] = Leaf(self._indices[key])
        return leaf

    def _simple(self, value: Any, path: str, walk: Any) -> Any:
        if type(value) in PLAIN:
            return Value(value)
        if isinstance(value, Tensor):
            return self.leaf(value, path) if has_data(value) else LEFT
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value, path)
        if type(value) in (tuple, frozenset):
            return self._row(value, path, walk)
        return None

    def _array(self, value: Any, path: str) -> Any:
        try:
            tensor = torch.from_numpy(np.array(value, order="C"))
        except TypeError:  # text, objects, extended precision: torch has no such elements
            return Opaque(copy.deepcopy(value))
        return Array(self.leaf(tensor, path), isinstance(value, np.generic))

    def _container(self, value: Any, path: str, walk: Any) -> Any:
        if type(value) in ROWS:
            return self._row(value, path, walk)
        if type(value) in DICTIONARIES:
            items = ((key, walk(item, f"{path}[{_shown(key)}]")) for key, item in value.items())
            return Items(DICTIONARIES[type(value)], tuple(items))
        return None

    def _row(self, value: Any, path: str, walk: Any) -> Row:
        nodes = (walk(item, f"{path}[{place}]") for place, item in enumerate(value))
        return Row(ROWS[type(value)], tuple(nodes), getattr(value, "maxlen", None))

    def _module(self, module: nn.Module, path: str) -> ModuleNode:
        parameters: dict[str, Any] = {}
        buffers: dict[str, Any] = {}
        unsaved: list[str] = []
        attributes: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for prefix, part in module.named_modules(remove_duplicate=False):
            self._seen.setdefault(id(part), part)
            dot = f"{prefix}." if prefix else ""
            for name, tensor in part._parameters.items():
                parameters[dot + name] = self._simple(tensor, f"{path}.{dot}{name}", self.live)
            for name, tensor in part._buffers.items():
                buffers[dot + name] = self._simple(tensor, f"{path}.{dot}{name}", self.live)
            unsaved += [dot + name for name in part._non_persistent_buffers_set]
            for name, node in self._plain_attributes(part, f"{path}.{dot}"):
                attributes[dot + name] = node
            if type(part).get_extra_state is not nn.Module.get_extra_state:
                extra[prefix] = self.saved(part.get_extra_state(), f"{path}.{dot}extra_state")
        kind = type(module).__name__
        return ModuleNode(kind, parameters, buffers, frozenset(unsaved), attributes, extra)

    def _plain_attributes(self, module: nn.Module, path: str) -> Iterator[tuple[str, Any]]:
        """Counters and carried state that a forward pass keeps outside the buffers."""
        for name, value in vars(module).items():
            if name in _MODULE_OWN or not _is_plain(value):
                continue
            yield name, self.live(value, f"{path}{name}")

    def _optimizer(self, optimizer: torch.optim.Optimizer, path: str) -> OptimizerNode:
        groups, shapes = [], []
        values, states = [], []
        for place, group in enumerate(optimizer.param_groups):
            where = f"{path}.param_groups[{place}]"
            settings = {key: value for key, value in group.items() if key != "params"}
            groups.append(self.live(settings, where))
            shapes.append(tuple(shape_of(p) for p in group["params"]))
            for index, parameter in enumerate(group["params"]):
                values.append(self._simple(parameter, f"{where}[{index}]", self.live))
                state = optimizer.state.get(parameter)
                states.append(None if state is None else self.live(state, f"{where}[{index}]"))
        attributes = {
            name: self.live(value, f"{path}.{name}")
            for name, value in vars(optimizer).items()
            if name not in _OPTIMIZER_OWN and not name.startswith("_") and _is_state(value)
        }
        kind = type(optimizer).__name__
        parts = (tuple(groups), tuple(shapes), tuple(values), tuple(states))
        return OptimizerNode(kind, *parts, attributes)

    def _attributes(self, value: Any, path: str) -> AttributesNode | Left | Opaque:
        """A hand-written average and the like: what it holds of tensors, numbers, containers."""
        own = getattr(value, "__dict__", None)
        if (callable(value) and not own) or not isinstance(own, dict) or isinstance(value, type):
            if not callable(value):
                self.uncovered.append(path)
            return LEFT
        attributes = cast("dict[str, Any]", own)
        nodes = {
            name: self.live(item, f"{path}.{name}")
            for name, item in attributes.items()
            if _is_state(item)
        }
        return AttributesNode(type(value).__name__, nodes)

    def _opaque(self, value: Any, path: str) -> Any:
        try:
            return Opaque(copy.deepcopy(value))
        except Exception:  # locks, files, generators: the object says itself that it cannot
            self.uncovered.append(path)
            return LEFT


def has_state(value: object) -> bool:
    """Whether the object can give its state and take it back."""
    methods = ("state_dict", "load_state_dict")
    return all(callable(getattr(value, name, None)) for name in methods)


def shape_of(tensor: Tensor) -> tuple[int, ...] | None:
    """The shape; None for a lazy tensor, which takes any."""
    return tuple(tensor.shape) if has_data(tensor) else None


def random_state(generator: Any) -> Any:
    """The generator's state; what is drawn later does not change it."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def _is_plain(value: object) -> bool:
    """Whether a module's attribute is data, all the way down."""
    if type(value) in PLAIN or isinstance(value, Tensor | np.ndarray | np.generic):
        return True
    if type(value) in ROWS:
        return all(_is_plain(item) for item in cast("list[Any]", value))
    if type(value) in DICTIONARIES:
        return all(_is_plain(item) for item in cast("Mapping[Any, Any]", value).values())
    return isinstance(value, GENERATORS)


def _is_state(value: object) -> bool:
    """Whether an object's attribute is something that a step may change and we can restore."""
    known = (nn.Module, torch.optim.Optimizer)
    if isinstance(value, known) or _is_plain(value) or has_state(value):
        return True
    if type(value) in (list, tuple, deque):
        return all(_is_state(item) for item in cast("list[Any]", value))
    if type(value) in DICTIONARIES:
        return all(_is_state(item) for item in cast("Mapping[Any, Any]", value).values())
    return False


def _shown(key: object) -> str:
    return repr(key) if isinstance(key, str | int) else type(key).__name__
