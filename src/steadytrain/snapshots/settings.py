"""Attributes that training never changed are settings: they stay the program's own on a resume.

A module's `p`, an average's `decay`: whoever changes them in the code and resumes wants the new
value. A counter or an annealed weight beside them is state. What tells them apart is whether the
run has changed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from steadytrain.snapshots.capturing import Capture
from steadytrain.snapshots.nodes import AttributesNode, Items, ModuleNode, OptimizerNode, Row, Value


def attributes_of(parts: Mapping[str, Any]) -> Items:
    """The tree of the parts as they are now, to hold a later one against. Copies no tensor."""
    walk = Capture()
    present = {name: part for name, part in parts.items() if part is not None}
    return Items("dict", tuple((name, walk.live(part, name)) for name, part in present.items()))


def without_settings(saved: Items, before: Items) -> Items:
    """The tree without the plain attributes that are the same in both."""
    return _pruned(saved, before)


def _pruned(node: Any, before: Any) -> Any:
    if type(node) is not type(before):
        return node
    match node:
        case Items():
            old = dict(before.items)
            return Items(node.kind, tuple((key, _pruned(v, old.get(key))) for key, v in node.items))
        case ModuleNode() | AttributesNode() | OptimizerNode():
            old = before.attributes
            kept = {
                name: _pruned(item, old.get(name))
                for name, item in node.attributes.items()
                if not (_is_plain(item) and item == old.get(name))
            }
            return replace(node, attributes=kept)
        case _:
            return node


def _is_plain(node: Any) -> bool:
    """Whether the node holds no tensor and no object."""
    if isinstance(node, Row):
        return all(_is_plain(item) for item in node.items)
    if isinstance(node, Items):
        return all(_is_plain(item) for _, item in node.items)
    return isinstance(node, Value)
