"""The tree of a snapshot as JSON and back: `[tag, ...]` for a node, itself for a plain value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

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
from steadytrain.snapshots.plain import decoded, encoded

_ROWS: Final = frozenset({"list", "tuple", "set", "frozenset", "deque"})
_DICTIONARIES: Final = frozenset({"dict", "ordered", "default", "counter"})


def to_json(node: Any, path: str) -> Any:
    """The node in JSON's own types.

    Raises:
        ProgramError: a part could only be restored by running code (pickle).
    """
    if node is None:
        return ["none"]
    if isinstance(node, Value | Opaque):
        return encoded(node.value, path)
    return _WRITERS[type(node)](node, path)


def _row_json(node: Row, path: str) -> Any:
    items = [to_json(item, f"{path}[{place}]") for place, item in enumerate(node.items)]
    return ["row", node.kind, node.max_length, items]


def _items_json(node: Items, path: str) -> Any:
    return ["items", node.kind, [_pair(key, item, path) for key, item in node.items]]


def _module_json(node: ModuleNode, path: str) -> Any:
    tables = (node.parameters, node.buffers, node.attributes, node.extra)
    return ["module", node.type, sorted(node.unsaved), *(_table(table, path) for table in tables)]


def _optimizer_json(node: OptimizerNode, path: str) -> Any:
    groups = [to_json(group, f"{path}.param_groups") for group in node.groups]
    values = [to_json(value, path) for value in node.values]
    states = [to_json(state, f"{path}.state") for state in node.states]
    shapes = [[None if s is None else list(s) for s in group] for group in node.shapes]
    return ["optimizer", node.type, groups, shapes, values, states, _table(node.attributes, path)]


def _pair(key: Any, item: Any, path: str) -> list[Any]:
    where = f"{path}[{key!r}]" if isinstance(key, str | int) else f"{path}[...]"
    return [encoded(key, f"a key of {path}"), to_json(item, where)]


def _table(nodes: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {name: to_json(node, f"{path}.{name}") for name, node in nodes.items()}


def from_json(data: Any, num_tensors: int) -> Any:
    """The node that `to_json` wrote.

    Args:
        data: what JSON gave.
        num_tensors: how many tensors the leaves may stand for.

    Raises:
        ValueError: it is no such node.
    """
    if not isinstance(data, list):
        return Value(decoded(data))
    parts = cast("list[Any]", data)
    tag = parts[0] if parts else None
    if not isinstance(tag, str) or tag not in _READERS:
        raise ValueError(f"a node of the unknown kind {tag!r}")
    try:
        return _READERS[tag](parts[1:], num_tensors)
    except (TypeError, AttributeError, LookupError, OverflowError) as error:
        raise ValueError(f"a {tag} that cannot be read ({error})") from error


def _leaf(parts: list[Any], num_tensors: int) -> Leaf:
    index = parts[0]
    if type(index) is not int or not 0 <= index < num_tensors:
        raise ValueError(f"a leaf at {index!r} of {num_tensors} tensors")
    return Leaf(index)


def _row(parts: list[Any], num_tensors: int) -> Row:
    kind, max_length, items = parts
    if kind not in _ROWS or not (max_length is None or type(max_length) is int):
        raise ValueError(f"a row of the unknown kind {kind!r}")
    return Row(kind, tuple(from_json(item, num_tensors) for item in items), max_length)


def _items(parts: list[Any], num_tensors: int) -> Items:
    kind, pairs = parts
    if kind not in _DICTIONARIES:
        raise ValueError(f"items of the unknown kind {kind!r}")
    return Items(kind, tuple((decoded(k), from_json(v, num_tensors)) for k, v in pairs))


def _nodes(table: Any, num_tensors: int) -> dict[str, Any]:
    return {name: from_json(node, num_tensors) for name, node in table.items()}


def _module(parts: list[Any], num_tensors: int) -> ModuleNode:
    kind, unsaved, *tables = parts
    parameters, buffers, attributes, extra = (_nodes(table, num_tensors) for table in tables)
    return ModuleNode(_name(kind), parameters, buffers, frozenset(unsaved), attributes, extra)


def _optimizer(parts: list[Any], num_tensors: int) -> OptimizerNode:
    kind, groups, shapes, values, states, attributes = parts
    sizes = tuple(tuple(None if s is None else tuple(s) for s in group) for group in shapes)
    if not len(values) == len(states) == sum(len(group) for group in sizes):
        raise ValueError("an optimizer whose states are not as many as its parameters")
    if len(groups) != len(sizes):
        raise ValueError("an optimizer whose groups are not as many as their shapes")
    rows = [tuple(from_json(item, num_tensors) for item in row) for row in (groups, values, states)]
    if not all(isinstance(group, Items) for group in rows[0]):
        raise ValueError("an optimizer whose groups are no dictionaries")
    return OptimizerNode(
        _name(kind), rows[0], sizes, rows[1], rows[2], _nodes(attributes, num_tensors)
    )


def _name(kind: Any) -> str:
    if not isinstance(kind, str):
        raise ValueError(f"a type named {kind!r}")
    return kind


_WRITERS: Final[dict[type, Callable[[Any, str], Any]]] = {
    Leaf: lambda node, _: ["t", node.index],
    Array: lambda node, _: ["array", node.leaf.index, node.is_scalar],
    Left: lambda *_: ["left"],
    Row: _row_json,
    Items: _items_json,
    StateNode: lambda node, path: ["state", node.type, to_json(node.state, path)],
    RandomNode: lambda node, path: ["random", node.type, to_json(node.state, path)],
    AttributesNode: lambda node, path: ["attributes", node.type, _table(node.attributes, path)],
    ModuleNode: _module_json,
    OptimizerNode: _optimizer_json,
}
_READERS: Final[dict[str, Callable[[list[Any], int], Any]]] = {
    "none": lambda *_: None,
    "left": lambda *_: LEFT,
    "t": _leaf,
    "array": lambda parts, n: Array(_leaf(parts, n), bool(parts[1])),
    "row": _row,
    "items": _items,
    "state": lambda parts, n: StateNode(_name(parts[0]), from_json(parts[1], n)),
    "random": lambda parts, n: RandomNode(_name(parts[0]), from_json(parts[1], n)),
    "attributes": lambda parts, n: AttributesNode(_name(parts[0]), _nodes(parts[1], n)),
    "module": _module,
    "optimizer": _optimizer,
}
