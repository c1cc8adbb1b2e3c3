"""Whether a snapshot can be put back into some parts, and if not, what differs first."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.snapshots.capturing import has_state, shape_of
from steadytrain.snapshots.nodes import (
    AttributesNode,
    Items,
    Leaf,
    ModuleNode,
    OptimizerNode,
    RandomNode,
    StateNode,
)
from steadytrain.snapshots.tensors import elements, identity

Owners = Mapping[str, "weakref.ref[Any]"]


def differences(
    saved: Items, parts: Mapping[str, Any], tensors: Sequence[Tensor], owners: Owners
) -> Iterator[str]:
    """What a restore could not put right, one sentence each; nothing where it fits."""
    names = [name for name, _ in saved.items]
    if set(names) != set(parts):
        yield f"it holds {_listed(names)}, here are {_listed(parts)}"
        return
    for name, node in saved.items:
        yield from _different(node, parts[name], name, tensors)
    for path, owner in owners.items():
        if owner() is None or not _stands(owner(), path, parts):
            yield f"{path} is another parameter now: it was replaced or removed since"


def owners_of(parts: Mapping[str, Any]) -> dict[str, weakref.ref[Any]]:
    """The parameters of every module among the parts, by path, without holding them."""
    return {
        f"{part}.{name}": weakref.ref(parameter)
        for part, module in parts.items()
        if isinstance(module, nn.Module)
        for name, parameter in module.named_parameters()
    }


def _stands(parameter: object, path: str, parts: Mapping[str, Any]) -> bool:
    part, _, name = path.partition(".")
    prefix, _, own = name.rpartition(".")
    try:
        return parts[part].get_submodule(prefix)._parameters.get(own) is parameter
    except AttributeError:
        return False


def _different(node: Any, value: Any, path: str, tensors: Sequence[Tensor]) -> Iterator[str]:
    match node:
        case ModuleNode():
            if isinstance(value, nn.Module):
                yield from _different_module(node, value, path, tensors)
            else:
                yield f"its {path} is a {node.type}, here is a {type(value).__name__}"
        case OptimizerNode():
            yield from _different_optimizer(node, value, path)
        case StateNode() | RandomNode() | AttributesNode():
            here = type(value).__name__
            if node.type != here or (isinstance(node, StateNode) and not has_state(value)):
                yield f"its {path} is a {node.type}, here is a {here}"
        case Items() if isinstance(value, dict):
            yield from _different_items(node, value, path, tensors)
        case _:
            return


_DEEP = (ModuleNode, OptimizerNode, StateNode, RandomNode, AttributesNode, Items)


def _different_items(
    node: Items, value: dict[Any, Any], path: str, tensors: Sequence[Tensor]
) -> Iterator[str]:
    saved = {key: item for key, item in node.items if isinstance(item, _DEEP)}
    for key, item in saved.items():
        if key not in value:
            yield f"its {path}[{key!r}] is not here"
        else:
            yield from _different(item, value[key], f"{path}[{key!r}]", tensors)
    for key, part in value.items():
        if key not in saved and (has_state(part) or isinstance(part, nn.Module)):
            yield f"{path}[{key!r}] is not in it"


def _different_module(
    node: ModuleNode, module: nn.Module, path: str, tensors: Sequence[Tensor]
) -> Iterator[str]:
    here = _tensors(module, "_parameters")
    yield from _unmatched(node.parameters.keys(), here.keys(), path)
    for name in node.parameters:
        if name not in here:
            continue
        yield from _different_tensor(node.parameters[name], here[name], f"{path}.{name}", tensors)
    yield from _different_ties(node.parameters, here, path)
    buffers = _tensors(module, "_buffers")
    lasting = [name for name in node.buffers if name not in node.unsaved]
    for name in lasting:
        if name not in buffers:
            yield f"it has the buffer {path}.{name}, which is not here"


def _different_tensor(
    node: Any, here: Tensor | None, path: str, tensors: Sequence[Tensor]
) -> Iterator[str]:
    if (here is None) or not isinstance(node, Leaf):
        was_tensor = isinstance(node, Leaf)
        if was_tensor != (here is not None) and not (here is not None and is_lazy(here)):
            yield f"{path} {'is gone' if was_tensor else 'had no elements yet'} since"
        return
    if is_lazy(here):
        return
    saved, own = tensors[node.index], elements(here)
    if saved.shape != own.shape or saved.dtype != own.dtype:
        yield (
            f"it has {path} as {saved.dtype} {list(saved.shape)}, "
            f"here it is {own.dtype} {list(own.shape)}"
        )


def _different_ties(
    nodes: Mapping[str, Any], here: Mapping[str, Tensor | None], path: str
) -> Iterator[str]:
    """Tensors that are one on one side only would train apart after the restore, or together."""
    saved: dict[object, str] = {}
    own: dict[object, str] = {}
    for name, node in nodes.items():
        tensor = here.get(name)
        if not isinstance(node, Leaf) or tensor is None or is_lazy(tensor):
            continue
        first, first_here = saved.setdefault(node, name), own.setdefault(identity(tensor), name)
        if first != first_here:
            other, where = (first, "in it") if first != name else (first_here, "here")
            yield f"{path}.{name} and {path}.{other} are one tensor only {where}"


def _different_optimizer(node: OptimizerNode, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, torch.optim.Optimizer) or type(value).__name__ != node.type:
        yield f"its {path} is a {node.type}, here is a {type(value).__name__}"
        return
    here = [[shape_of(p) for p in group["params"]] for group in value.param_groups]
    if [len(group) for group in here] != [len(group) for group in node.shapes]:
        yield (
            f"its {path} holds {[len(group) for group in node.shapes]} parameters by group, "
            f"here it holds {[len(group) for group in here]}"
        )
        return
    for place, (old, new) in enumerate(zip(node.shapes, here, strict=True)):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            if a is not None and b is not None and tuple(a) != tuple(b):
                yield f"{path}.param_groups[{place}][{index}] was {list(a)}, here it is {list(b)}"


def _unmatched(saved: Any, here: Any, path: str) -> Iterator[str]:
    for name in sorted(saved ^ here):
        where = "only in it" if name in saved else "only here"
        yield f"the parameter {path}.{name} is {where}"


def _tensors(module: nn.Module, kind: str) -> dict[str, Tensor | None]:
    return {
        f"{prefix}.{name}" if prefix else name: tensor
        for prefix, part in module.named_modules(remove_duplicate=False)
        for name, tensor in getattr(part, kind).items()
    }


def _listed(names: Any) -> str:
    return ", ".join(names) or "nothing"
