"""The residual blocks of a network, found by what they compute and where they stand.

A residual block is a module whose own code adds, and that stands among its like: an item of a
container, or one of several attributes of one class. Each addition to the stream is one branch;
the weight whose result is added is the branch's output. Where widths leave several candidates,
the last one registered is taken. Layers one after the other without an addition make no block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from steadytrain.blocks._code import mixes_positions, num_sums
from steadytrain.blocks._routes import Branch, branches_of
from steadytrain.blocks._weights import weights_of

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
LAYERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """A residual block."""

    path: str
    module: nn.Module
    branches: tuple[Branch, ...]

    @property
    def num_attentions(self) -> int:
        return sum(branch.attends for branch in self.branches)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Residual blocks along one stream."""

    owner: str
    """Path of the module whose blocks they are."""
    blocks: tuple[Block, ...]
    is_decoder: bool
    """Whether its blocks attend twice: to themselves and to an encoder."""

    @property
    def num_branches(self) -> int:
        """How many additions there are along the stream."""
        return sum(len(block.branches) for block in self.blocks)

    @property
    def num_layers(self) -> float:
        """Layers of two additions each, of three in a decoder that attends to an encoder."""
        return self.num_branches / (3 if self.is_decoder else 2)


def stacks_of(model: nn.Module) -> list[Stack]:
    """The residual streams of a model, in the order of registration.

    Blocks of one owner are one stream, and so are those of a whole model in which nothing
    attends (the stages of a convolutional network).
    """
    blocks = list(_blocks(model))
    attends = any(block.num_attentions for block in blocks)
    streams: dict[tuple[str, bool], list[Block]] = {}
    for block in blocks:
        key = (_owner(model, block.path), block.num_attentions > 1) if attends else ("", False)
        streams.setdefault(key, []).append(block)
    return [
        Stack(owner=owner, blocks=tuple(found), is_decoder=decoder)
        for (owner, decoder), found in streams.items()
    ]


def _blocks(model: nn.Module) -> Iterator[Block]:
    candidates = _candidates(model)
    for path, module in candidates.items():
        if _holds_another(path, candidates) or _is_part_of_another(path, module, candidates):
            continue
        branches = branches_of(module, path)
        if branches:
            yield Block(path=path, module=module, branches=tuple(branches))


def _candidates(model: nn.Module) -> dict[str, nn.Module]:
    """Modules that add and stand among their like."""
    modules = dict(model.named_modules(remove_duplicate=False))
    return {
        path: module
        for path, module in modules.items()
        if path and _adds(path, module, modules) and _stands_among_its_like(path, modules)
    }


def _adds(path: str, module: nn.Module, modules: dict[str, nn.Module]) -> bool:
    """Whether the module's code adds; for a list within a list, that of the lists' owner."""
    if isinstance(module, LAYERS):
        return True
    if isinstance(module, CONTAINERS):
        parent = modules[path.rpartition(".")[0]]
        listed = isinstance(module, nn.ModuleList | nn.ModuleDict)
        return listed and isinstance(parent, nn.ModuleList) and _owner_adds(path, modules)
    return (
        num_sums(module) > 0
        and any(True for _ in weights_of(module))
        and any(True for _ in module.children())
    )


def _owner_adds(path: str, modules: dict[str, nn.Module]) -> bool:
    while path:
        path = path.rpartition(".")[0]
        if not isinstance(modules[path], CONTAINERS):
            return num_sums(modules[path]) > 0
    return False


def _stands_among_its_like(path: str, modules: dict[str, nn.Module]) -> bool:
    """Whether the module is an item of a container or has siblings of its class.

    What is alone in its parent stands where the parent stands: a wrapper changes no place.
    """
    module, above = modules[path], path.rpartition(".")[0]
    parent = modules[above]
    siblings = list(parent.children())
    if isinstance(module, LAYERS) or isinstance(parent, CONTAINERS):
        return True
    if above and len(siblings) == 1 and not any(True for _ in parent.parameters(recurse=False)):
        return _stands_among_its_like(above, modules)
    return Counter(type(one) for one in siblings)[type(module)] > 1


def _holds_another(path: str, candidates: dict[str, nn.Module]) -> bool:
    """Whether a block is inside: then this is a stage. Code of an attention adds masks, too."""
    return any(
        other.startswith(f"{path}.") and not mixes_positions(module)
        for other, module in candidates.items()
    )


def _is_part_of_another(path: str, module: nn.Module, candidates: dict[str, nn.Module]) -> bool:
    return mixes_positions(module) and any(path.startswith(f"{other}.") for other in candidates)


def _owner(model: nn.Module, path: str) -> str:
    """The nearest module above that is no container and no wrapper of one module."""
    above = path.rpartition(".")[0]
    module = model.get_submodule(above)
    alone = len(list(module.children())) == 1 and not isinstance(module, CONTAINERS)
    single = alone and isinstance(next(iter(module.children())), CONTAINERS)
    if above and (isinstance(module, CONTAINERS) or (alone and not single)):
        return _owner(model, above)
    return above


def partner_of(stack: Stack, stacks: tuple[Stack, ...]) -> Stack | None:
    """The other half of an encoder-decoder, the deepest where there are several."""
    others = [one for one in stacks if one.is_decoder is not stack.is_decoder]
    return max(others, key=lambda one: one.num_layers, default=None)
