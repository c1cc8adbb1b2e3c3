"""Every residual branch begins at zero, so that a network of any depth begins as the identity.

Only what a branch writes to the stream is zeroed: the gradient still reaches the zeroed weight at
once, and the rest of the branch from the second step on. A clip that compares a gradient with its
weight's norm freezes such a weight; that of this library has a floor.

## Formula
    x + f(x) with f's last weight W = 0 and bias 0
    where a norm within the branch ends it: its scale = 0 instead, and W stays

A norm that stands behind a zeroed weight but outside of the branch's module is not seen; it would
multiply the first gradient by 1 / sqrt(eps).

## Shape
Any model with residual blocks, found by their code and widths.

## Dtype
Any.

## Cost
One pass over the zeroed parameters, once.

## Source
Goyal et al. 2017, section 5.1 (last scale of a block is 0); Zhang et al. 2019 (Fixup, last weight
of a branch is 0).

## Helps against
`residual-growth`, `exploding-gradient`, `missing-warmup`
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._filling import Draw, fill_only, normal, structured
from steadytrain.blocks._roles import Part
from steadytrain.blocks._routes import Branch, gates_in
from steadytrain.blocks._sample_networks import small_transformer
from steadytrain.blocks._stacks import Block
from steadytrain.blocks._weights import is_norm, weights_of
from steadytrain.core.technique import Sample, technique


def zero_outputs(model: nn.Module, *, head: bool = False) -> list[Change]:
    """Each residual branch of the model gives zero; nothing else was changed.

    Args:
        model: changed in place; frozen and reparametrised weights are left alone.
        head: whether the last layer is zeroed too, for a first loss that guesses nothing.

    Returns:
        What was done, one line per weight or norm.

    Raises:
        UsageError: there is no residual block, or a parameter has no numbers yet.

    Shape:
        What is zeroed may have any.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True)
        >>> model = torch.nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
        >>> changes = zero_outputs(model)
        >>> x = torch.randn(1, 4, 8)
        >>> torch.equal(model(x), x)
        True
    """
    anatomy = structured(model, "zero-output")
    changes: list[Change] = []
    ended_by_norm: set[str] = set()
    for block in (block for stack in anatomy.stacks for block in stack.blocks):
        for branch in block.branches:
            norm = _last_norm(block, branch)
            if norm is not None:
                changes.append(_zero_scale(*norm))
                ended_by_norm.add(branch.outputs[0].path)

    def draw(part: Part) -> Draw | None:
        if part.role == "output" and part.path not in ended_by_norm:
            return normal(0.0, "writes to the stream")
        return normal(0.0, "head") if head and part.role == "head" else None

    return changes + fill_only(anatomy, draw)


def _last_norm(block: Block, branch: Branch) -> tuple[str, nn.Module] | None:
    """The norm that ends the branch, if one surely does.

    One within the branch's own module, registered last; of batch norms also one in the block
    itself, unless a norm is registered first: then the block normalises what it reads.
    """
    if branch.attends or len(branch.outputs) != 1:
        return None
    within = _child_of(block, branch.outputs[0].place)
    aside: tuple[str, ...] = tuple(gates_in(block.module, block.path))
    aside += tuple(_shortcut_paths(block, branch))
    weights = [one.module for one in (*branch.inner, *branch.outputs)]
    line = [
        (path, module)
        for path, module in block.module.named_modules(prefix=block.path)
        if any(module is one for one in weights)
        or isinstance(module, _BatchNorm)
        or (is_norm(module) and path.startswith(f"{within}."))
    ]
    line = [(path, module) for path, module in line if not f"{path}.".startswith(aside)]
    path, last = line[-1]
    in_block = isinstance(last, _BatchNorm) and not is_norm(line[0][1])
    in_branch = path.startswith(f"{within}.") and _runs_in_order(block, path)
    if not is_norm(last) or not (in_block or in_branch):
        return None
    return (path, last) if any(True for _ in last.parameters()) else None


def _runs_in_order(block: Block, path: str) -> bool:
    """Whether what holds the norm surely runs as it is registered: a sequence, or one weight."""
    above = path.removeprefix(block.path).strip(".").rpartition(".")[0]
    parent = block.module.get_submodule(above)
    return isinstance(parent, nn.Sequential) or sum(1 for _ in weights_of(parent)) == 1


def _child_of(block: Block, path: str) -> str:
    """The path of the block's child in which `path` is."""
    inside = path.removeprefix(block.path).strip(".").split(".")[0]
    return f"{block.path}.{inside}".strip(".")


def _shortcut_paths(block: Block, branch: Branch) -> Iterator[str]:
    """Where the shortcut and its norm are: the shortcut itself where it stands in the block."""
    for one in branch.shortcuts:
        above = one.place.rpartition(".")[0]
        yield f"{one.place if above == block.path else above}."


@torch.no_grad()
def _zero_scale(path: str, norm: nn.Module) -> Change:
    own = list(norm.parameters())
    if not all(one.requires_grad for one in own):
        return Change(path=path, what="left as it was", why="frozen")
    for one in own:
        nn.init.zeros_(one)
    return Change(path=path, what="scale 0, shift 0", why="ends a residual branch")


SCHEMES: dict[str, Scheme] = {"zero-output": zero_outputs}


def _sample() -> nn.Module:
    model = small_transformer()
    zero_outputs(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("zero_outputs",),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(2, 5, 16),)),),
)
