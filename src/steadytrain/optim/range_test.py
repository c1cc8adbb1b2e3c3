"""Finds the learning rates at which a model trains, by raising the rate until the loss diverges.

Everything happens on a copy: model, optimizer, buffers, modes and random generators are as they
were, bit for bit. One run of a hundred steps is a first guess, not a tuned rate: it does not see
what only long training shows.

## Formula

Step k of n trains at min_lr (max_lr / min_lr)^(k / (n - 1)); groups keep their proportions.
With the level L0 and deviation s of the first tenth of the losses: it has *diverged* where the
loss is not finite, or its running median over 5 steps lies above
L0 + max(L0 - lowest median so far, 4 s, 0.1 |L0|). *Suggested* is a tenth of the rate at which
the running median is lowest, if that is below L0 by more than 2 s + 0.001 |L0|.

## Shape

Any model, optimizer and loss; batches are read as often as the steps need.

## Dtype

The program's precision, with its loss scale, accumulation and clip.

## Cost

A copy of model and optimizer, `steps` optimizer steps, one synchronisation each.

## Source

Smith 2017 (Cyclical Learning Rates), section 3.3; a tenth of the minimum: Howard & Gugger 2020
(fastai). The margins: the lowest of 95 medians of 5 normal values lies 1.4 s below their mean.

## Helps against

`lr-too-high`, `lr-too-low`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import Any, Final

from torch import nn

from steadytrain.core.program import Program
from steadytrain.core.technique import technique
from steadytrain.optim._randomness import randomness_kept
from steadytrain.optim._range_request import as_program, check_range, copied
from steadytrain.optim._rate_sweep import RateSweep

_WIDTH: Final = 5
_TABLE_ROWS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTest:
    """The losses at rising rates; prints as a table.

    Example:
        >>> print(RangeTest(lrs=(0.1, 1.0), losses=(2.5, 9.0), suggested=None, diverged_at=1.0))
              rate          loss
           1.0e-01           2.5
           1.0e+00             9
        No suggestion: the loss fell at no rate. It diverged at 1.0e+00.
    """

    lrs: tuple[float, ...]
    """The rates that were tried, ascending."""
    losses: tuple[float, ...]
    """The loss before the step at each rate; the last may be NaN or infinite."""
    suggested: float | None
    """A rate to start from; None where the loss fell at no rate."""
    diverged_at: float | None
    """The rate at which the test ended early; None where the loss held up to `max_lr`."""

    def __str__(self) -> str:
        """About sixteen of the rates with their losses, and what follows from them."""
        stride = max(1, len(self.lrs) // _TABLE_ROWS)
        shown = sorted({*range(0, len(self.lrs), stride), len(self.lrs) - 1})
        lines = [f"{self.lrs[k]:10.1e}  {self.losses[k]:12.6g}" for k in shown]
        return "\n".join([f"{'rate':>10}  {'loss':>12}", *lines, self._conclusion()])

    def _conclusion(self) -> str:
        end = "" if self.diverged_at is None else f" It diverged at {self.diverged_at:.1e}."
        if self.suggested is None:
            return f"No suggestion: the loss fell at no rate.{end}"
        return f"Suggested: {self.suggested:.1e}, a tenth of the rate with the lowest loss.{end}"


def lr_range_test(
    program: Program | nn.Module,
    optimizer: Any = None,
    batches: Iterable[Any] | None = None,
    loss_fn: Callable[[Any, Any], Any] | None = None,
    *,
    min_lr: float = 1e-7,
    max_lr: float = 10.0,
    steps: int = 100,
) -> RangeTest:
    """Trains a copy at rates from `min_lr` to `max_lr`, and leaves everything as it was.

    Run it before attaching a watch, whose hooks would be copied with the model.

    Args:
        program: a `Program`, or a model with the three arguments that follow.
        optimizer: the model's optimizer; its rates only count in proportion to each other.
        batches: something that can be read again: a `DataLoader` or a list.
        loss_fn: `loss_fn(model, batch)` -> scalar Tensor.
        min_lr: the first rate.
        max_lr: the last rate.
        steps: optimizer steps, evenly spaced in the logarithm of the rate.

    Raises:
        UsageError: an argument cannot mean what was given, or the model cannot be copied.

    Example:
        >>> import torch
        >>> model = nn.Linear(3, 1)
        >>> inputs = torch.randn(64, 3)
        >>> batches = [(inputs, inputs.sum(dim=1, keepdim=True))]
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> def loss_fn(model, batch):
        ...     return nn.functional.mse_loss(model(batch[0]), batch[1])
        >>> result = lr_range_test(model, optimizer, batches, loss_fn, max_lr=100)
        >>> 0.01 < result.suggested < 1 < result.diverged_at
        True
    """
    check_range(min_lr, max_lr, steps)
    given = as_program(program, optimizer, batches, loss_fn)
    with randomness_kept(given.model, given.batches):
        sweep = RateSweep(copied(given))
        lrs = [min_lr * (max_lr / min_lr) ** (step / (steps - 1)) for step in range(steps)]
        losses: list[float] = []
        for lr in lrs:
            losses.append(sweep.step(lr))
            if has_diverged(losses, steps):
                break
    ended = has_diverged(losses, steps)
    return RangeTest(
        lrs=tuple(lrs[: len(losses)]),
        losses=tuple(losses),
        suggested=suggestion(lrs, losses, steps),
        diverged_at=lrs[len(losses) - 1] if ended else None,
    )


def has_diverged(losses: Sequence[float], steps: int) -> bool:
    """Whether the last of `losses` is where it ends."""
    if not math.isfinite(losses[-1]):
        return True
    if len(losses) < _num_first(steps) + _WIDTH:
        return False
    level, spread = _start(losses, steps)
    medians = _medians(losses)
    rise = max(level - min(medians), 4 * spread, 0.1 * abs(level))
    return not medians[-1] <= level + rise


def suggestion(lrs: Sequence[float], losses: Sequence[float], steps: int) -> float | None:
    """A tenth of the rate at which the running median is lowest, if it fell beyond the noise."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    if len(finite) < _num_first(steps) + _WIDTH:
        return None
    level, spread = _start(finite, steps)
    medians = _medians(finite)
    lowest = min(range(len(medians)), key=medians.__getitem__)
    if not level - medians[lowest] > 2 * spread + 0.001 * abs(level):
        return None
    return lrs[lowest + _WIDTH // 2] / 10


def _num_first(steps: int) -> int:
    """Steps at rates so small that they tell the level and the noise of the loss."""
    return steps // 10


def _start(losses: Sequence[float], steps: int) -> tuple[float, float]:
    first = losses[: _num_first(steps)]
    return fmean(first), pstdev(first)


def _medians(losses: Sequence[float]) -> list[float]:
    """The median of each stretch of losses: one bad batch does not move it."""
    starts = range(len(losses) - _WIDTH + 1)
    return [median(losses[start : start + _WIDTH]) for start in starts]


TECHNIQUE = technique(__name__, __doc__, exports=("RangeTest", "lr_range_test"))
