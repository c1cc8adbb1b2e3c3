"""Clipping to a percentile of the norms seen so far (AutoClip), with a memory that has an end.

At the usual tenth percentile nine steps of ten are clipped, on purpose: the step becomes nearly
one of a fixed length. Use `RobustClip` where only the exceptional step should be touched.

## Formula
g <- g * min(1, c / ‖g‖), c = the percentile of the last `window` norms, this step's included.

## Shape
Gradients of any shape, changed in place.

## Dtype
As `clip_grad_norm_`. A norm that is not finite, or whose square overflows, refuses the step and is
not remembered.

## Cost
One pass that reads and one that writes; one synchronisation on a device; `window` numbers.

## Source
Seetharaman et al. 2020 (AutoClip), section 3; the tenth percentile is theirs.

## Helps against
`missing-grad-clip`, `exploding-gradient`, `bad-batch`
"""

from __future__ import annotations

import numpy as np

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._adaptive import AdaptiveClip, ClipVerdict, check_count, verdict_for


class PercentileClip(AdaptiveClip):
    """Clips each step to a percentile of the recent norms.

    Args:
        percentile: above 0, at most 100.
        window: norms the percentile is taken of. AutoClip keeps all; a thousand make the
            percentile as exact, and let it follow.

    Raises:
        UsageError: a number is out of its range.

    Example:
        >>> import torch
        >>> clip = PercentileClip(percentile=50.0)
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> for size in (1.0, 1.0, 5.0):
        ...     weight.grad = torch.tensor([0.6, 0.8]) * size
        ...     verdict = clip([weight])
        >>> verdict.kind, weight.grad
        ('clipped', tensor([0.6000, 0.8000]))
    """

    def __init__(self, percentile: float = 10.0, *, window: int = 1000) -> None:
        if not 0.0 < float(percentile) <= 100.0:
            msg = f"percentile must be above 0 and at most 100, got {percentile}"
            raise UsageError(f"{msg}: 10 clips to the norm that a tenth of the steps stay below.")
        check_count("window", window, 2)
        super().__init__(window)
        self.percentile = float(percentile)
        self.window = window

    def _judge(self, total_norm: float) -> ClipVerdict:
        self._norms.append(total_norm)
        usual = f"the percentile {self.percentile:g} of {len(self._norms)} steps"
        return verdict_for(total_norm, self._threshold(), usual)

    def _threshold(self) -> float:
        if not self._norms:
            return float("inf")
        return float(np.percentile(np.fromiter(self._norms, float), self.percentile))


TECHNIQUE = technique(__name__, __doc__, exports=("PercentileClip",))
