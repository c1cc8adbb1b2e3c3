"""One optimizer step's microbatches, with the share of the gradient that each has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from steadytrain.core.errors import UsageError
from steadytrain.optim._counting import Count, is_zero
from steadytrain.optim._gradient_sync import num_ranks, sum_over_ranks, synchronising

Reduction = Literal["mean", "sum"]


class CountedWindow:
    """The microbatches of one optimizer step; iterate over it and call `backward` for each.

    Under a data-parallel wrapper gradients are averaged over ranks in the last microbatch only.
    """

    def __init__(
        self,
        microbatches: Sequence[Any],
        counts: Sequence[Count],
        model: nn.Module | None,
        reduction: Reduction,
    ) -> None:
        own = sum(counts[1:], start=counts[0])
        ranks = num_ranks(model)
        self.num_items: Count = own
        """Items of the whole window, over all ranks."""
        if ranks > 1 and model is not None:
            self.num_items = sum_over_ranks(own, model)
        self.loss = torch.zeros(())
        """The mean loss per item, complete after the last microbatch. Under a data-parallel
        wrapper it is this rank's share: its mean over ranks is the window's."""
        self._model = model
        self._num_done = 0
        self._ranks = ranks
        self._reduction: Reduction = reduction
        pairs = list(zip(microbatches, counts, strict=True))
        self._pairs = [pair for pair in pairs if not is_zero(pair[1])] or pairs[-1:]
        self._current: Count = 0

    def __len__(self) -> int:
        """Microbatches that have something in them."""
        return len(self._pairs)

    def __iter__(self) -> Iterator[Any]:
        """Each microbatch; the pass over it belongs inside the loop."""
        self._num_done = 0
        self.loss = torch.zeros(())
        for place, (microbatch, count) in enumerate(self._pairs, start=1):
            self._current = count
            with synchronising(self._model, wanted=place == len(self._pairs)):
                yield microbatch
            if self._num_done != place:
                raise UsageError(
                    f"window.backward was called {self._num_done} times for {place} microbatches, "
                    "expected once for each: call window.backward(loss) instead of "
                    "loss.backward(), and optimizer.step() after the loop."
                )

    def backward(self, loss: Tensor, scale: Callable[[Tensor], Tensor] | None = None) -> None:
        """The microbatch's share of the window's gradient is added to the parameters.

        Args:
            loss: one number, reduced over the microbatch as `reduction` says.
            scale: what a loss scaler makes of it, such as `scaler.scale`.
        """
        share = self._share(loss)
        self._num_done += 1
        self.loss = self.loss + share.detach().reshape(())
        (share if scale is None else scale(share)).backward()

    def _share(self, loss: Tensor) -> Tensor:
        """In float32 at least: a share of a half-precision loss may be too small for its dtype."""
        wide = loss if loss.dtype == torch.float64 else loss.float()
        count = self._current if self._reduction == "mean" else 1
        if isinstance(count, int) and isinstance(self.num_items, int) and count:
            return wide * (count * self._ranks / max(self.num_items, 1))
        factor = torch.as_tensor(count, device=wide.device) * self._ranks
        factor = factor / torch.as_tensor(self.num_items, device=wide.device).clamp(min=1)
        # the mean over no items is NaN, and zero times NaN is NaN
        return torch.where(factor > 0, wide * factor, torch.zeros_like(wide))
