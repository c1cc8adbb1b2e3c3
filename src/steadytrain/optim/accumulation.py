"""Gradient accumulation: the mean over a window of microbatches, as if it were one batch."""

from __future__ import annotations

from collections.abc import Callable

import torch


class Window:
    """Averages the gradients and the loss of `size` microbatches into one optimizer step.

    Formula: grad = sum over i of grad(loss_i) / size. Equal to one batch of all the items where
    every microbatch has as many items and its loss is their mean.
    Cost: one multiplication per microbatch; the loss is summed on its device, unsynchronised.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.loss = torch.zeros(())
        """The mean loss, complete after `size` microbatches."""

    def add(self, loss: torch.Tensor, scale: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """The microbatch's share of the gradient is added to the parameters.

        Args:
            loss: a tensor of one element.
            scale: what the loss scale makes of it before `backward`.
        """
        share = loss if self.size == 1 else loss / self.size
        scale(share).backward()
        self.loss = self.loss + share.detach().reshape(())
