"""What a snapshot holds, as plain data: a tree whose leaves are tensors kept apart.

parts ── Items ── ModuleNode      parameters and buffers by name, other attributes
               ── OptimizerNode   groups, state by parameter
               ── StateNode       what state_dict() gave
               ── RandomNode      a random generator's state
               ── AttributesNode  an object without state_dict, by its attributes
               ── Items, Row      dictionaries, lists, sets and queues
               ── Leaf, Array     a tensor, a NumPy array
               ── Value           a number, a string, None
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Leaf:
    """The tensor that stands at `index` in the snapshot's list."""

    index: int


@dataclass(frozen=True, slots=True)
class Array:
    """A NumPy array, or a scalar of NumPy's, kept as a tensor."""

    leaf: Leaf
    is_scalar: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """Something that never changes in place: a number, a string, None, a tuple of them."""

    value: Any


@dataclass(frozen=True, slots=True)
class Opaque:
    """An object that only a deep copy could keep; it cannot be written to disk."""

    value: Any


@dataclass(frozen=True, slots=True)
class Left:
    """Something that was left as it is: seen elsewhere already, or out of reach."""


@dataclass(frozen=True, slots=True)
class Row:
    """A list, tuple, set, frozenset or deque."""

    kind: str
    items: tuple[Any, ...]
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """A dictionary in its order; keys are plain values."""

    kind: str
    items: tuple[tuple[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class ModuleNode:
    """A module's own tensors by their place, and the plain attributes of its submodules."""

    type: str
    parameters: Mapping[str, Any]
    buffers: Mapping[str, Any]
    unsaved: frozenset[str] = frozenset()
    """Buffers that its state_dict leaves out."""
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What `get_extra_state` gave, by submodule."""


@dataclass(frozen=True, slots=True)
class OptimizerNode:
    """An optimizer's groups, and its state by the parameter's place in them."""

    type: str
    groups: tuple[Any, ...]
    shapes: tuple[tuple[tuple[int, ...] | None, ...], ...]
    """By group; None for a parameter that is not initialised yet, which takes any."""
    values: tuple[Any, ...]
    """The parameters themselves."""
    states: tuple[Any, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class StateNode:
    """What an object's state_dict gave."""

    type: str
    state: Any


@dataclass(frozen=True, slots=True)
class RandomNode:
    """The state of a random generator."""

    type: str
    state: Any


@dataclass(frozen=True, slots=True)
class AttributesNode:
    """The attributes of an object that has no state_dict."""

    type: str
    attributes: Mapping[str, Any]


LEFT: Final = Left()
