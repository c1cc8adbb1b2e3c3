"""Leave a residual branch out for some samples of a batch, and keep its expectation.

## Formula
    y = x * b / (1 - rate), b = 0 with probability `rate` and 1 otherwise, one b per sample; in
    eval mode y = x. `linear_drop_rates`: rate_l = max_rate * l / L for block l = 1..L.

## Shape
    [N, *] -> [N, *].

## Dtype
    Any floating dtype in, the same out.

## Cost
    One multiplication and selection of the branch in train mode, nothing in eval mode. The branch
    itself is computed for every sample.

## Source
    Huang et al. 2016, sections 3 and 4 (linear decay of the survival probability), scaled in
    training as dropout is, so that evaluation needs no correction.

## Helps against
    `overfitting`, `residual-growth`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.blocks._bounds import share, whole
from steadytrain.core.technique import Sample, technique


class StochasticDepth(nn.Module):
    """In training, each sample is zero with probability `rate` and scaled up otherwise.

    A dropped sample is exactly zero even where the branch gave NaN or infinity: it is selected
    away, not multiplied by zero. At rate 1 everything is.

    Args:
        rate: the probability of dropping a sample, the first dimension.

    Shape:
        [N, *] -> [N, *].

    Raises:
        UsageError: `rate` is not from 0 to 1.

    Example:
        >>> drop = StochasticDepth(0.5)
        >>> kept = drop(torch.ones(8, 3))
        >>> set(kept.flatten().tolist()) <= {0.0, 2.0}
        True
        >>> drop.eval()(torch.ones(2, 3)).sum().item()
        6.0
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = share("rate", rate)

    def forward(self, x: Tensor) -> Tensor:
        """`x`, with some samples zero and the others larger by as much."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        shape = (*x.shape[:1], *([1] * (x.dim() - 1)))
        kept = torch.rand(shape, device=x.device) < keep
        return torch.where(kept, x * (1.0 / keep if keep > 0.0 else 0.0), 0.0)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def linear_drop_rates(max_rate: float, num_blocks: int) -> list[float]:
    """Rates that rise evenly from block to block and reach `max_rate` at the last.

    Args:
        max_rate: the last block's rate.
        num_blocks: how many blocks there are.

    Raises:
        UsageError: `max_rate` is not from 0 to 1, or `num_blocks` is no positive whole number.

    Example:
        >>> linear_drop_rates(0.4, 4)
        [0.1, 0.2, 0.30000000000000004, 0.4]
    """
    count = whole("num_blocks", num_blocks)
    return [share("max_rate", max_rate) * place / count for place in range(1, count + 1)]


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("StochasticDepth", "linear_drop_rates"),
    samples=(
        Sample(
            build=lambda: StochasticDepth(0.5),
            inputs=lambda: (torch.randn(6, 4, 3),),
            double_backward=True,
        ),
    ),
)
