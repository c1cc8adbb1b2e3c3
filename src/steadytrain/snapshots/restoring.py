"""From the tree of a snapshot back into the live objects: in place wherever that is possible."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.snapshots.capturing import DICTIONARIES, GENERATORS, ROWS, has_state
from steadytrain.snapshots.nodes import (
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
from steadytrain.snapshots.tensors import copy_all, elements, has_data

_ROW_TYPES: Final[dict[str, Callable[..., Any]]] = {name: kind for kind, name in ROWS.items()}
_DICTIONARY_TYPES: Final[dict[str, Callable[[Any], Any]]] = {
    "dict": dict, "ordered": OrderedDict, "default": dict, "counter": Counter,
}  # fmt: skip
_NOTHING: Final = object()


class Restore:
    """Puts the nodes of one snapshot into live objects.

    The elements of tensors that keep their place are copied when `finish` is called, in one
    pass, so that an object that refuses its state does so before any weight has changed.

    Args:
        tensors: what the leaves stand for; they are copied, never handed out.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors
        self._made: dict[int, Tensor] = {}
        self._pending: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def finish(self) -> None:
        """Every tensor that kept its place holds the snapshot's elements."""
        targets = [elements(target) for target, _ in self._pending.values()]
        copy_all(targets, [source for _, source in self._pending.values()])
        self._pending = {}

    def live(self, node: Any, value: Any) -> Any:
        """What must stand in the place of `value`; the same object wherever that can be."""
        match node:
            case Left():
                return None if value is _NOTHING else value
            case Leaf():
                return self._tensor(node, value)
            case Array() if self._fits_array(node, value):
                np.copyto(value, self._array(node))
                return value
            case Items() if type(value) in DICTIONARIES:
                return self._dictionary(node, value)
            case Row() if ROWS.get(type(value)) == node.kind:
                return self._row(node, value)
            case _ if isinstance(node, _OBJECTS):
                if value is not None and value is not _NOTHING:
                    self._object(node, value)
                return value
            case _:
                return self.built(node)

    def _object(self, node: Any, value: Any) -> None:
        """The object has the state of the node, if it is of that kind still."""
        match node:
            case ModuleNode() if isinstance(value, nn.Module):
                self._module(node, value)
            case OptimizerNode() if isinstance(value, torch.optim.Optimizer):
                self._optimizer(node, value)
            case RandomNode() if isinstance(value, GENERATORS):
                set_random_state(value, self.built(node.state))
            case StateNode() if has_state(value):
                _forget_unscaled(value)
                value.load_state_dict(self.built(node.state))
            case AttributesNode() if hasattr(value, "__dict__"):
                self._attributes(node.attributes, vars(value))
            case _:
                return

    def built(self, node: Any) -> Any:
        """A fresh value that shares nothing with the snapshot."""
        match node:
            case Value():
                return node.value
            case Leaf():
                return self._new(node, None)
            case Array():
                array = self._array(node)
                return array[()] if node.is_scalar else array
            case Row():
                items = [self.built(item) for item in node.items]
                if node.kind == "deque":
                    return deque(items, node.max_length)
                return _ROW_TYPES[node.kind](items)
            case Items():
                pairs = [(key, self.built(item)) for key, item in node.items]
                return _DICTIONARY_TYPES[node.kind](dict(pairs))
            case Opaque():
                return copy.deepcopy(node.value)
            case _:
                return None

    def _tensor(self, node: Leaf, value: Any) -> Any:
        source = self._tensors[node.index]
        if not isinstance(value, Tensor) or value.grad_fn is not None:
            return self._new(node, value)
        if is_lazy(value):
            cast("Any", value).materialize(source.shape, dtype=source.dtype)
        if not has_data(value):
            return value
        part = elements(value)
        if part.shape != source.shape or part.dtype != source.dtype:
            return self._new(node, value)
        self._pending[id(value), node.index] = (value, source)
        return value

    def _new(self, node: Leaf, value: Any) -> Tensor:
        """A new tensor; two places that shared one share the new one."""
        if node.index not in self._made:
            device = value.device if isinstance(value, Tensor) else torch.device("cpu")
            self._made[node.index] = self._tensors[node.index].to(device, copy=True)
        return self._made[node.index]

    def _array(self, node: Array) -> np.ndarray[Any, Any]:
        return self._tensors[node.leaf.index].clone().numpy()

    def _fits_array(self, node: Array, value: Any) -> bool:
        if not isinstance(value, np.ndarray):
            return False
        source = self._tensors[node.leaf.index]
        same = value.shape == tuple(source.shape) and value.flags.writeable
        return same and value.dtype == source.numpy().dtype

    def _dictionary(self, node: Items, value: dict[Any, Any]) -> dict[Any, Any]:
        restored = {key: self.live(item, value.get(key, _NOTHING)) for key, item in node.items}
        if list(restored) != list(value):
            value.clear()
        value.update(restored)
        return value

    def _row(self, node: Row, value: Any) -> Any:
        if node.kind in ("set", "frozenset"):
            return _refilled(value, self.built(node), node.kind)
        old = [*value, *[_NOTHING] * (len(node.items) - len(value))]
        items = [self.live(item, old[place]) for place, item in enumerate(node.items)]
        if node.kind == "tuple":
            kept = len(items) == len(value) and all(
                a is b for a, b in zip(items, value, strict=True)
            )
            return value if kept else tuple(items)
        value.clear()
        value.extend(items)
        return value

    def _module(self, node: ModuleNode, module: nn.Module) -> None:
        owners = dict(module.named_modules(remove_duplicate=False))
        for kind, nodes in (("_parameters", node.parameters), ("_buffers", node.buffers)):
            for name, tensor in nodes.items():
                prefix, _, own = name.rpartition(".")
                if prefix in owners and own in getattr(owners[prefix], kind):
                    table = getattr(owners[prefix], kind)
                    table[own] = self.live(tensor, table[own])
        for name, attribute in node.attributes.items():
            prefix, _, own = name.rpartition(".")
            if prefix in owners and own in vars(owners[prefix]):
                self._attributes({own: attribute}, vars(owners[prefix]))
        for prefix, extra in node.extra.items():
            if prefix in owners:
                owners[prefix].set_extra_state(self.built(extra))

    def _optimizer(self, node: OptimizerNode, optimizer: torch.optim.Optimizer) -> None:
        parameters: list[Tensor] = []
        for group, saved in zip(optimizer.param_groups, node.groups, strict=True):
            parameters += group["params"]
            settings = {key: value for key, value in group.items() if key != "params"}
            restored = self.live(saved, settings)
            for key in [key for key in group if key != "params" and key not in restored]:
                del group[key]
            group.update(restored)
        for parameter, value, state in zip(parameters, node.values, node.states, strict=True):
            self.live(value, parameter)
            if state is None:
                optimizer.state.pop(parameter, None)
                continue
            restored = self.live(state, optimizer.state.get(parameter, _NOTHING))
            optimizer.state[parameter] = _on_device(restored, parameter)
        self._attributes(node.attributes, vars(optimizer))

    def _attributes(self, nodes: Mapping[str, Any], own: dict[str, Any]) -> None:
        for name, node in nodes.items():
            own[name] = self.live(node, own.get(name, _NOTHING))


_OBJECTS: Final = (ModuleNode, OptimizerNode, RandomNode, StateNode, AttributesNode)


def set_random_state(generator: Any, state: Any) -> None:
    """The generator draws again what it drew after the state was taken."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState | torch.Generator):
        generator.set_state(state)
    else:
        generator.setstate(state)


def _forget_unscaled(value: Any) -> None:
    """A gradient scaler stands between two steps: it has unscaled nothing yet."""
    stages = getattr(value, "_per_optimizer_states", None)
    if isinstance(stages, dict):
        cast("dict[Any, Any]", stages).clear()


def _refilled(value: Any, items: Any, kind: str) -> Any:
    if kind == "frozenset":
        return items
    value.clear()
    value.update(items)
    return value


def _on_device(state: Any, parameter: Tensor) -> Any:
    """The state of a parameter stands where the parameter does; counters stay on the host."""
    if parameter.device.type == "cpu" or not isinstance(state, dict):
        return state
    for key, value in cast("dict[str, Any]", state).items():
        if isinstance(value, Tensor) and value.dim() and value.device != parameter.device:
            state[key] = value.to(parameter.device)
    return cast("dict[str, Any]", state)
