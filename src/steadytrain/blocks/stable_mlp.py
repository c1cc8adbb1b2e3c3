"""A residual perceptron of any depth whose stream stays at the size of its input.

Each branch ends in a norm and adds 1/depth of it: however large the weights grow, the branches
together add at most the length that the first features have (times the learned gains of the norms,
1 at the start). A plain pre-norm stack of 128 blocks makes its stream 11 times larger at the start
and 34 times after 50 steps of AdamW; this one 1.0 and 1.2 times (width 64, rate 1e-3, the digits).

## Formula
    x_0 = N(W x + b); x_l = x_(l-1) + N(mlp(N(x_(l-1)))) / depth; y = W_out N(x_depth).
    Var W = Var b = 1/(in_features + 1): the bias is one more input of size one, so that a norm
    over features of a single number still tells 1 from 2. W_out starts at standard deviation
    1/width: the first outputs are small and the first loss is that of a guess.

## Shape
    [..., in_features] -> [..., out_features]; with batch norm [N, in_features].

## Dtype
    Any floating dtype in, the same out; statistics in float32 for half precision.

## Cost
    Two matrix products and two norms per block.

## Source
    Norms on both sides of a branch: Kim et al. 2025 (Peri-LN). 1/depth: the sum of `depth` vectors
    of length 1/depth is never longer than 1, aligned or not, whereas 1/sqrt(depth) (Hayou et al.
    2021) holds for independent branches only, which training soon makes alike. W_out: Yang et al.
    2022, table 3.

## Helps against
    `missing-residual`, `residual-growth`, `vanishing-gradient`, `exploding-gradient`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from steadytrain.blocks._activation import Activation
from steadytrain.blocks._bounds import share, whole
from steadytrain.blocks._feed_forward import feed_forward
from steadytrain.blocks._norm_kinds import norm_of
from steadytrain.blocks.drop_path import linear_drop_rates
from steadytrain.blocks.norm_placement import NormPlacement
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

VectorNorm = Literal["rms", "layer", "batch", "sync-batch"]


class StableMLP(nn.Module):
    """A residual perceptron that trains at any depth.

    Args:
        in_features: features of the input, best at unit scale.
        out_features: features of the output: classes, or numbers to predict.
        width: features of the stream.
        depth: residual blocks.
        expansion: hidden features of a block per feature of the stream.
        activation: a name ("gelu"), a module, a class of modules or an elementwise function.
        norm: `"rms"`, `"layer"`, `"batch"` or `"sync-batch"`.
        dropout: share of the hidden features that training leaves out.
        drop_path: rate of stochastic depth in the last block, less before it.

    Shape:
        [..., in_features] -> [..., out_features].

    Raises:
        UsageError: a size or share is out of range, or the activation is none.
        UnknownNameError: there is no such norm or activation.

    Example:
        >>> StableMLP(64, 10, depth=32)(torch.randn(8, 64)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        width: int = 128,
        depth: int = 8,
        expansion: int = 2,
        activation: Activation | type[nn.Module] = "gelu",
        norm: VectorNorm = "rms",
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if norm == "none":
            msg = "StableMLP bounds its stream by norms, got norm='none'"
            raise UsageError(f"{msg}: use NormalizerFree.stack for a network without.")
        hidden = whole("expansion", expansion) * whole("width", width)
        self.stem = nn.Linear(whole("in_features", in_features), width)
        self.stem_norm = norm_of(norm, width, "vectors")
        self.blocks = nn.Sequential()
        for rate in linear_drop_rates(share("drop_path", drop_path), whole("depth", depth)):
            mlp = feed_forward(width, hidden, activation, dropout)
            self.blocks.append(_block(mlp, width, norm, 1.0 / depth, rate))
        self.norm = norm_of(norm, width, "vectors")
        self.head = nn.Linear(width, whole("out_features", out_features))
        self._initialize()

    def forward(self, x: Tensor) -> Tensor:
        """The outputs for the features `x`."""
        return self.head(self.norm(self.blocks(self.stem_norm(self.stem(x)))))

    @torch.no_grad()
    def _initialize(self) -> None:
        size = (self.stem.in_features + 1) ** -0.5
        nn.init.normal_(self.stem.weight, std=size)
        nn.init.normal_(self.stem.bias, std=size)
        nn.init.normal_(self.head.weight, std=1.0 / self.head.in_features)
        nn.init.zeros_(self.head.bias)


def _block(mlp: nn.Module, width: int, norm: str, scale: float, drop_path: float) -> NormPlacement:
    def make(dim: int) -> nn.Module:
        return norm_of(norm, dim, "vectors")

    return NormPlacement(mlp, width, "sandwich", norm=make, branch_scale=scale, drop_path=drop_path)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("StableMLP",),
    samples=(
        Sample(
            build=lambda: StableMLP(6, 3, width=8, depth=4),
            inputs=lambda: (torch.randn(5, 6),),
            double_backward=True,
        ),
        Sample(
            build=lambda: StableMLP(6, 3, width=8, depth=2, norm="batch"),
            inputs=lambda: (torch.randn(5, 6),),
        ),
    ),
)
