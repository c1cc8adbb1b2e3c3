"""Residual blocks without a norm, that know the variance of their input and divide it away.

## Formula
    y = x + alpha * f(x / beta), beta = sqrt(expected variance of x);
    expected variance of y = that of x + alpha^2.
    With a transition t (a projection to other channels): y = t(x / beta) + alpha * f(x / beta),
    and the expected variance starts again at 1 + alpha^2.
    It holds if f and t keep unit variance: weight-standardised convolutions, and activations
    times `normalizer_free_gain(phi)` = Var[phi(z)]^(-1/2), z from N(0, 1).

## Shape
    Any x; f keeps its shape, or gives what t gives.

## Dtype
    Any floating dtype in, the same out.

## Cost
    Two multiplications of the stream; no parameter, no statistics.

## Source
    Brock et al. 2021a (Characterizing signal propagation), section 3; alpha 0.2 and the
    activations' factors from Brock et al. 2021b (NFNets), section 2.

## Helps against
    `residual-growth`, `missing-norm`, `batchnorm-small-batch`, `exploding-gradient`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from steadytrain.blocks._activation import Activation, elementwise
from steadytrain.blocks._bounds import finite, positive
from steadytrain.blocks._gaussian import gaussian_mean
from steadytrain.blocks._residual_sum import residual_sum
from steadytrain.blocks.gains import second_moment
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique


class NormalizerFree(nn.Module):
    """x + alpha * branch(x / beta), with beta from the expected variance of x.

    Args:
        branch: keeps unit variance.
        expected_variance: of the input; `next_variance` of the block before.
        alpha: share of the branch.
        transition: projects the shortcut where the branch changes the shape, at unit variance.

    Shape:
        As the branch's output.

    Raises:
        UsageError: `expected_variance` is not above zero, or `alpha` not finite.

    Example:
        >>> first = NormalizerFree(nn.Linear(8, 8))
        >>> round(first.next_variance, 2)
        1.04
        >>> len(NormalizerFree.stack([nn.Linear(8, 8) for _ in range(3)], alpha=0.5))
        3
    """

    def __init__(
        self,
        branch: nn.Module,
        *,
        expected_variance: float = 1.0,
        alpha: float = 0.2,
        transition: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.expected_variance = positive("expected_variance", expected_variance)
        self.alpha = finite("alpha", alpha)
        self.transition = transition

    @classmethod
    def stack(cls, branches: Iterable[nn.Module], alpha: float = 0.2) -> nn.Sequential:
        """Blocks around the branches, each knowing what the ones before it have added."""
        blocks: list[NormalizerFree] = []
        variance = 1.0
        for branch in branches:
            blocks.append(cls(branch, expected_variance=variance, alpha=alpha))
            variance = blocks[-1].next_variance
        return nn.Sequential(*blocks)

    @property
    def next_variance(self) -> float:
        """The expected variance of the output."""
        start = self.expected_variance if self.transition is None else 1.0
        return start + self.alpha**2

    def forward(self, x: Tensor) -> Tensor:
        """The shortcut plus the branch of the input at unit variance."""
        unit = x * self.expected_variance**-0.5
        shortcut = x if self.transition is None else self.transition(unit)
        return residual_sum(shortcut, self.alpha * self.branch(unit))

    def extra_repr(self) -> str:
        return f"expected_variance={self.expected_variance:.4g}, alpha={self.alpha:.4g}"


def normalizer_free_gain(activation: Activation) -> float:
    """The factor that gives the activation of a standard normal number variance one.

    Not `gain_for`, which looks at the mean square: standardised weights take the mean away.

    Args:
        activation: a name ("gelu"), a module or an elementwise function.

    Raises:
        UsageError: the activation is constant, not finite or not elementwise.
        UnknownNameError: a name that no activation has.

    Example:
        >>> [round(normalizer_free_gain(name), 3) for name in ("relu", "gelu", "silu")]
        [1.713, 1.701, 1.787]
    """
    square, mean = second_moment(activation), gaussian_mean(elementwise(activation))
    variance = square - mean**2
    if variance > 1e-12 * square:
        return variance**-0.5
    msg = f"the activation is constant (variance {variance:.2g}) on normal inputs: no factor can"
    raise UsageError(f"{msg} give it variance 1. Check that it is the function that was meant.")


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("NormalizerFree", "normalizer_free_gain"),
    samples=(
        Sample(
            build=lambda: NormalizerFree(nn.Linear(8, 8), expected_variance=1.2),
            inputs=lambda: (torch.randn(3, 8),),
            double_backward=True,
        ),
        Sample(
            build=lambda: NormalizerFree(nn.Linear(8, 4), transition=nn.Linear(8, 4)),
            inputs=lambda: (torch.randn(3, 8),),
            double_backward=True,
        ),
    ),
)
