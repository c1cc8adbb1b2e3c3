"""Gradient accumulation: a window of microbatches gives the gradient of one large batch.

The mean of microbatch means is not the mean: with 11 and 101 tokens, the tokens of the short
microbatch weigh five times as much as they should. What is divided by is counted over the whole
window before its first backward pass, over all ranks, and the tail window by what is in it.
Clip once, after the window: the sum of clipped gradients is not the clipped sum.

## Formula

With n_i items in microbatch i and N = sum of n_i over the window and all ranks:
grad = sum over i of (n_i / N) grad(mean loss_i), or of grad(sum loss_i) / N. R ranks whose
wrapper averages gradients multiply by R.

## Shape

Any batch. Without `count`, an item is one row (first dimension) of the first tensor in it.

## Dtype

Shares are computed in float32 or float64, also for half-precision losses.

## Cost

The microbatches of one window are held at once. One multiplication per microbatch, one
all-reduce of one number per window under DDP or FSDP; nothing is read back from a device, unless
`count` returns numbers of its own accord.

## Source

Division by the valid tokens of the global batch: torchtitan (Liang et al. 2024), and the defects
that led there, huggingface/transformers issues 24725 and 34191. Batch statistics and running
momentum stay those of microbatches: pytorch issue 46516.

## Helps against

`accum-not-divided`, `loss-reduction`, `batchnorm-small-batch`
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._counted_window import CountedWindow, Reduction
from steadytrain.optim._counting import checked, is_zero, num_rows


class Window:
    """Averages the gradients and the loss of `size` microbatches into one optimizer step.

    Formula: grad = sum over i of grad(loss_i) / size. Equal to one batch of all the items where
    every microbatch has as many items and its loss is their mean; `accumulate` is for the rest.
    Cost: one multiplication per microbatch; the loss is summed on its device, unsynchronised.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.loss = torch.zeros(())
        """The mean loss, complete after `size` microbatches."""

    def add(self, loss: Tensor, scale: Callable[[Tensor], Tensor]) -> None:
        """The microbatch's share of the gradient is added to the parameters.

        Args:
            loss: a tensor of one element.
            scale: what the loss scale makes of it before `backward`.
        """
        share = loss if self.size == 1 else loss / self.size
        scale(share).backward()
        self.loss = self.loss + share.detach().reshape(())


class Accumulation:
    """The windows of one pass after another over the batches; made by `accumulate`."""

    def __init__(
        self,
        batches: Iterable[Any],
        size: int,
        count: Callable[[Any], Any],
        model: nn.Module | None,
        reduction: Reduction,
    ) -> None:
        self._batches = batches
        self._size = size
        self._count = count
        self._model = model
        self._reduction: Reduction = reduction
        self._is_used_up = False

    def __len__(self) -> int:
        """Windows of one pass, the tail window among them."""
        return -(-len(self._batches) // self._size)  # pyright: ignore[reportArgumentType]

    def __iter__(self) -> Iterator[CountedWindow]:
        """One window for every optimizer step; a window without items is passed over.

        Raises:
            UsageError: there is nothing (left) to read.
        """
        if self._is_used_up:
            raise _nothing("they are a generator that was read before")
        self._is_used_up = isinstance(self._batches, Iterator)
        batches = iter(self._batches)
        num_windows = 0
        while microbatches := list(itertools.islice(batches, self._size)):
            num_windows += 1
            counts = [checked(self._count(microbatch)) for microbatch in microbatches]
            window = CountedWindow(microbatches, counts, self._model, self._reduction)
            if not is_zero(window.num_items):
                yield window
        if not num_windows:
            raise _nothing("a whole pass gave none")


def accumulate(
    batches: Iterable[Any],
    size: int,
    *,
    count: Callable[[Any], Any] | None = None,
    model: nn.Module | None = None,
    reduction: Reduction = "mean",
) -> Accumulation:
    """Windows of `size` microbatches, each of which gives the gradient of one large batch.

    Args:
        batches: the microbatches, such as a `DataLoader`.
        size: microbatches per optimizer step; the last window of a pass has what is left.
        count: the number of items (or tokens) in a microbatch that the loss is a mean of; rows if
            None. Best on the host, before the batch is moved: what counts zero is then left out.
        model: give it under DDP or FSDP: gradients are then averaged once per window, and items
            counted over all ranks.
        reduction: whether the loss given to `backward` is the `"mean"` or the `"sum"` over the
            microbatch's items. A hand-written mean over no items must not divide by zero.

    Raises:
        UsageError: an argument cannot mean what was given, or there is nothing to read.

    Example:
        >>> model = nn.Linear(3, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> batches = [(torch.randn(n, 3), torch.randn(n, 1)) for n in (4, 2, 5, 3, 1)]
        >>> for window in accumulate(batches, size=2, model=model):
        ...     for inputs, targets in window:
        ...         window.backward(nn.functional.mse_loss(model(inputs), targets))
        ...     norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        ...     print(len(window), window.num_items)
        2 6
        2 8
        1 1
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        msg = f"accumulate(size): got {size!r}, expected a whole number of microbatches from 1 on"
        raise UsageError(f"{msg}: 1 means no accumulation.")
    if not isinstance(batches, Iterable):
        msg = f"accumulate(batches): got {type(batches).__name__}, expected an iterable of batches"
        raise UsageError(f"{msg}: pass the DataLoader or a list.")
    if isinstance(batches, Sized) and not len(batches):
        raise _nothing("they have length 0")
    if reduction not in get_args(Reduction):
        msg = f"accumulate(reduction): got {reduction!r}, expected 'mean' or 'sum'"
        raise UsageError(f"{msg}: torch's loss functions give the mean.")
    if count is not None and not callable(count):
        msg = f"accumulate(count): got {type(count).__name__}, expected a function of a microbatch"
        raise UsageError(f"{msg}: such as lambda batch: (batch['labels'] != -100).sum().")
    _warn_of_batch_statistics(model, size)
    return Accumulation(batches, size, count or num_rows, model, reduction)


def _nothing(why: str) -> UsageError:
    msg = f"accumulate(batches): there is no batch to read, {why}, expected at least one"
    return UsageError(f"{msg}: pass a DataLoader or a list, which can be read again.")


def _warn_of_batch_statistics(model: nn.Module | None, size: int) -> None:
    modules = () if model is None else model.modules()
    norms = [one for one in modules if isinstance(one, _BatchNorm) and one.training]
    if size == 1 or not norms:
        return
    momentum = norms[0].momentum or 0.1
    warnings.warn(
        f"{len(norms)} BatchNorm modules normalise each microbatch by itself, and move their "
        f"running statistics {size} times per step. Set momentum={1 - (1 - momentum) ** (1 / size):.3g} "
        f"(not {momentum}) for the same memory in steps, or use GroupNorm, which has no batch.",
        RuntimeWarning,
        stacklevel=3,
    )


TECHNIQUE = technique(__name__, __doc__, exports=("accumulate",))
