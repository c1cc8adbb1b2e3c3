"""The branches of one residual block: which weights feed which addition to the stream."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.conv import _ConvNd

from steadytrain.blocks._code import mixes_positions, multiplies, num_sums
from steadytrain.blocks._weights import Weight, is_norm, weights_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branch:
    """The weights behind one addition to the residual stream."""

    inner: tuple[Weight, ...]
    """All but the outputs, in the order of registration."""
    outputs: tuple[Weight, ...]
    """Whose results are added to the stream; several where experts run side by side."""
    attends: bool
    """Whether it is an attention."""
    shortcuts: tuple[Weight, ...] = ()
    """Weights on the stream itself, beside the branch."""


def branches_of(block: nn.Module, path: str) -> list[Branch]:
    """The branches of a residual block that write to the stream."""
    weights = list(weights_of(block, path))
    if not weights:
        return []
    attends = any(mixes_positions(one) for one in block.modules())
    if not attends and any(_taps(one) > 1 for one in weights):
        return list(_chain(block, path, weights))
    width = _width(block, weights)
    groups = [weights] if num_sums(block) == 1 else list(_groups(block, path, weights))
    found = [_branch(block, path, group, width) for group in groups]
    return [branch for branch in found if branch.outputs]


def _chain(block: nn.Module, path: str, weights: list[Weight]) -> Iterator[Branch]:
    """A convolutional branch: everything but gates and the shortcut, one after the other.

    None where the shapes change and nothing on the stream changes them too: a block that adds
    only if it can does not add there, and a branch that is all there is must not be zeroed.
    """
    gates = tuple(gates_in(block, path))
    main = [one for one in weights if not one.place.startswith(gates)] or weights
    line, shortcut = _line(main)
    keeps = line[0].inputs == line[-1].outputs and math.prod(_stride(one) for one in line) == 1
    if shortcut is None and not keeps:
        return
    shortcuts = () if shortcut is None else (shortcut,)
    inner = tuple(one for one in weights if one is not shortcut and one is not line[-1])
    yield Branch(inner=inner, outputs=(line[-1],), attends=False, shortcuts=shortcuts)


def _line(weights: list[Weight]) -> tuple[list[Weight], Weight | None]:
    """The weights that follow each other, and the one on the stream.

    Without those that are no convolution where they stand in the way: they embed a condition.
    """
    for line in (weights, [one for one in weights if isinstance(one.module, _ConvNd)]):
        shortcut = _shortcut(line)
        rest = [one for one in line if one is not shortcut]
        if _follow(rest):
            return rest, shortcut
    return weights, None


def gates_in(block: nn.Module, path: str) -> Iterator[str]:
    """Paths of modules that weigh channels by a product, as squeeze-and-excitation does."""
    for name, module in block.named_modules(prefix=path):
        if module is not block and _num_weights(module) > 1 and multiplies(module):
            yield f"{name}."


def _num_weights(module: nn.Module) -> int:
    """How many weights of linear maps are under the module."""
    return sum(1 for _ in weights_of(module))


def _shortcut(weights: Sequence[Weight]) -> Weight | None:
    """The weight that stands on the stream: of two that could, the deeper one, then the last."""
    fitting = [one for one in weights if len(weights) > 1 and _is_shortcut(one, weights)]
    return max(reversed(fitting), key=lambda one: one.path.count("."), default=None)


def _is_shortcut(one: Weight, weights: Sequence[Weight]) -> bool:
    """Whether one weight alone does to the shapes what the others do together."""
    others = [other for other in weights if other is not one]
    if _taps(one) > 1 or not _follow(others):
        return False
    same = (one.inputs, one.outputs) == (others[0].inputs, others[-1].outputs)
    if not same:
        return False
    strides = _stride(one), math.prod(_stride(other) for other in others)
    return not _follow(weights) or (strides[0] == strides[1] > 1)


def _follow(weights: Sequence[Weight]) -> bool:
    """Whether each reads as many channels as the one before writes."""
    return all(a.outputs == b.inputs for a, b in itertools.pairwise(weights))


def _taps(one: Weight) -> int:
    return math.prod(one.module.kernel_size) if isinstance(one.module, _ConvNd) else 1


def _stride(one: Weight) -> int:
    return one.module.stride[0] if isinstance(one.module, _ConvNd) else 1


def _width(block: nn.Module, weights: Sequence[Weight]) -> int:
    """The width of the stream: what most of the block's layers read, write or normalise."""
    sizes = Counter(size for one in weights for size in (one.inputs, one.outputs))
    for child in block.children():
        if is_norm(child):
            sizes.update(one.numel() for one in child.parameters())
    return sizes.most_common(1)[0][0]


def _groups(block: nn.Module, path: str, weights: Sequence[Weight]) -> Iterator[list[Weight]]:
    """The weights by the child of the block they are in; those in none come as their own."""
    prefix = f"{path}." if path else ""
    composite = {
        name for name, child in block.named_children() if any(True for _ in child.children())
    }
    inside = {one: one.path.removeprefix(prefix).split(".")[0] for one in weights}
    for name, _ in block.named_children():
        group = [one for one in weights if inside[one] == name and name in composite]
        if group:
            yield group
    loose = [one for one in weights if inside[one] not in composite]
    if loose:
        yield from _split(block, loose)


def _split(block: nn.Module, loose: list[Weight]) -> Iterator[list[Weight]]:
    """An attention written out in the block itself comes before its feed-forward part."""
    size = 2 if loose[0].outputs == 3 * loose[0].inputs else 4
    if mixes_positions(block) and len(loose) > size:
        yield loose[:size]
        yield loose[size:]
    else:
        yield loose


def _branch(block: nn.Module, path: str, weights: list[Weight], width: int) -> Branch:
    outputs = _outputs(block, path, weights, width)
    attends = len(outputs) == 1 and _attends(block, path, weights)
    inner = tuple(one for one in weights if one not in outputs)
    return Branch(inner=inner, outputs=outputs, attends=attends)


def _attends(block: nn.Module, path: str, weights: Sequence[Weight]) -> bool:
    """Whether code on the way to the weights mixes positions, or the weights look like it.

    They do where three read the same and no activation is a module between them: the code of
    an attention may be behind a function that was passed in.
    """
    above = {id(one): one for weight in weights for one in _modules_above(block, path, weight)}
    if any(
        isinstance(one, nn.MultiheadAttention) or mixes_positions(one) for one in above.values()
    ):
        return True
    parts = [part for one in above.values() if one is not block for part in one.modules()]
    if any(isinstance(part, nn.Softmax) for part in parts):
        return True
    readers = sum(one.inputs == weights[0].inputs for one in weights[:3])
    activated = any(type(part).__module__ == nn.ReLU.__module__ for part in parts)
    return len(weights) == 4 and readers == 3 and bool(parts) and not activated


def _modules_above(block: nn.Module, path: str, weight: Weight) -> Iterator[nn.Module]:
    """The modules between the block and the weight; the block itself for a weight in no other."""
    names = weight.place.removeprefix(path).strip(".").split(".")
    module = block
    if len(names) == 1:
        yield block
    for name in names[:-1] if not isinstance(weight.module, nn.MultiheadAttention) else names:
        module = module.get_submodule(name)
        yield module


def _outputs(
    block: nn.Module, path: str, weights: Sequence[Weight], width: int
) -> tuple[Weight, ...]:
    """The last weight that writes the stream's width, or else the width that was read.

    With experts side by side in a list, the same one of each.
    """
    width = width if any(one.outputs == width for one in weights) else weights[0].inputs
    writing = [one for one in weights if one.outputs == width]
    if not writing or (len(weights) > 1 and writing[-1] is weights[0]):
        return ()
    role = _path_in_expert(block, path, writing[-1])
    return tuple(one for one in writing if _path_in_expert(block, path, one) == role)


def _path_in_expert(block: nn.Module, path: str, weight: Weight) -> str:
    """The path with the places in lists left out."""
    names, module = [], block
    for name in weight.place.removeprefix(path).strip(".").split("."):
        names.append("#" if isinstance(module, nn.ModuleList) else name)
        module = module.get_submodule(name)
    return ".".join(names)
