"""A residual network without norms begins so that one step changes its output by the same at any depth.

The last weight of every branch and the classifier begin at zero; the weights before it are He's,
shrunk by the number of branches, because they all move the output in the same step.

## Formula
    last weight of a branch, head:  0
    other weights of a branch:      N(0, 2 / fan_in) * n^(-1 / (2m - 2))
    everything else:                N(0, 2 / fan_in); embeddings N(0, 1 / d)
    bias: 0; padding rows: 0

n is the number of branches in the network, m the number of weights in the branch: n^(-1/2) for
blocks of two convolutions. The method also gives each branch a learnt scale and each layer a learnt
scalar shift; an initialisation can add no parameters, so put them into the blocks
(`ScaledResidual`, `ReZero`) where accuracy at the end matters. The bound holds for the weights:
shifts of the zeroed layers still add up over the branches and want a smaller rate.

## Shape
Any model with residual blocks, found by their code and widths. A branch of one weight has only
the zeroed one.

## Dtype
Any floating or complex dtype; drawn in the parameter's own.

## Cost
One pass over the parameters, once.

## Source
Zhang, Dauphin & Ma 2019 (Fixup), section 3: rules 1 and 2; rule 3 is the scalars above.

## Helps against
`missing-norm`, `exploding-gradient`, `residual-growth`
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._filling import Draw, Rule, fill, normal, structured
from steadytrain.blocks._roles import Anatomy, Part
from steadytrain.blocks._routes import Branch
from steadytrain.blocks._sample_networks import small_residual_net
from steadytrain.core.technique import Sample, technique


def init_fixup(model: nn.Module, *, generator: torch.Generator | None = None) -> list[Change]:
    """Branches end in zero and begin with He's weights shrunk by the number of branches.

    Args:
        model: changed in place; frozen and reparametrised weights are left alone.
        generator: the source of random numbers; torch's own if None.

    Returns:
        What was done, one line per weight.

    Raises:
        UsageError: there is no residual block, or a parameter has no numbers yet.

    Shape:
        Weights may have any.

    Example:
        >>> from steadytrain.blocks import StableMLP
        >>> changes = init_fixup(StableMLP(8, 3, width=16, depth=4))
        >>> sum(one.what == "zero" for one in changes)
        5
    """
    anatomy = structured(model, "fixup")
    return fill(anatomy, model, _rule(anatomy), generator)


def _rule(anatomy: Anatomy) -> Rule:
    weights: dict[int, int] = {}
    for branch in _branches(anatomy):
        count = len(branch.inner) + len(branch.outputs)
        weights |= {id(one): count for one in branch.inner}
    branches = sum(1 for _ in _branches(anatomy))

    def draw(part: Part) -> Draw:
        if part.role in ("output", "head"):
            return normal(0.0, part.role)
        if part.role == "embedding":
            return normal(part.weight.outputs**-0.5, "embedding")
        he = math.sqrt(2 / part.weight.fan_in)
        count = weights.get(id(part.weight))
        if count is None:
            return normal(he, part.role)
        power = -1 / (2 * count - 2)
        return normal(he * branches**power, f"in one of {branches} branches, {count} weights")

    return draw


def _branches(anatomy: Anatomy) -> Iterator[Branch]:
    for stack in anatomy.stacks:
        for block in stack.blocks:
            yield from block.branches


SCHEMES: dict[str, Scheme] = {"fixup": init_fixup}


def _sample() -> nn.Module:
    model = small_residual_net()
    init_fixup(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("init_fixup",),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(2, 3, 8, 8),)),),
)
