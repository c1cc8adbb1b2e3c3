"""One step of a loop as a transaction: it commits, or leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from steadytrain.core.errors import UsageError
from steadytrain.guard._engine import Engine, total
from steadytrain.guard._judging import Attempt
from steadytrain.guard._parts import with_gradients
from steadytrain.guard.act import Committer
from steadytrain.optim._norms import scale_


class Step:
    """A step under way; made by `Guard.step`.

    Leaving the block judges what was done in it. Then unscale, clip, optimizers, loss scaler,
    schedules, averages and the clearing of gradients follow, or nothing is left of it. What the
    block raises goes on upwards, with everything as it was before the block.
    """

    def __init__(
        self, engine: Engine, committer: Committer, optimizers: Sequence[Any], batch: Any
    ) -> None:
        self.committed = False
        """Whether the weights moved."""
        self.reason = ""
        """Why they did not; empty where they did, and while the block runs."""
        self._engine = engine
        self._committer = committer
        self._losses: list[tuple[Tensor, float]] = []
        self._first_items: float | None = None
        places = [engine.parts.optimizers.index(one) for one in optimizers]
        key = "" if len(places) == len(engine.parts.optimizers) else ",".join(map(str, places))
        batches = [] if batch is None else [batch]
        self._attempt = Attempt(optimizers=optimizers, key=key, batches=batches)
        self._is_open = False

    @property
    def loss(self) -> float:
        """The mean of the losses given so far, as a number. It waits for the device."""
        mean = total(self._losses)
        return float("nan") if mean is None else float(mean)

    def backward(self, loss: Tensor, *, items: float | None = None) -> None:
        """The gradient of `loss` is part of the step's.

        Several calls in one block are one step: the gradient is that of the mean over their
        items, or of the mean of the losses where no items are given.

        Args:
            loss: a scalar; scaled first where there is a loss scaler.
            items: rows or tokens that `loss` is the mean of.

        Raises:
            UsageError: `loss` is no scalar with a gradient, or items are given now and then only.
        """
        self._check_open("backward")
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            what = (
                f"a Tensor of shape {list(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            )
            msg = f"step.backward(loss): got {what}, expected a scalar that needs a gradient"
            raise UsageError(f"{msg}: reduce it with .mean(), without .item() or .detach().")
        share = self._share(items)
        scaler = self._engine.parts.scaler
        weighted = loss if share == 1.0 else loss * share
        (weighted if scaler is None else scaler.scale(weighted)).backward()
        self._losses.append((loss.detach().reshape(()), share))

    def with_closure(self, closure: Callable[[], Any]) -> Any:
        """The optimizer steps now, with `closure`, as LBFGS needs it; returns the loss.

        Weights and moments are copied first, and put back if the step turns out bad.

        Args:
            closure: clears the gradients, computes the loss, calls backward, returns the loss.

        Raises:
            UsageError: the step is of several optimizers, or its gradients were computed already.
        """
        self._check_open("with_closure")
        optimizers = self._attempt.optimizers
        if len(optimizers) != 1 or self._losses:
            msg = f"step.with_closure: the step has {len(optimizers)} optimizers and "
            msg = f"{msg}{len(self._losses)} losses given to backward, expected one and none"
            raise UsageError(f"{msg}: name the optimizer in guard.step(batch, optimizer=...).")
        self._engine.keep_everything()
        self._attempt.has_stepped = True
        loss = optimizers[0].step(closure)
        value = loss.detach() if isinstance(loss, Tensor) else torch.tensor(float(loss or 0.0))
        if loss is not None:
            self._losses.append((value.reshape(()), 1.0))
        return loss

    def skip(self, reason: str = "the loop asked for it") -> None:
        """Whatever the block has done is left without a trace when it ends."""
        self._check_open("skip")
        self._attempt.wish = reason

    def __enter__(self) -> Step:
        self._engine.begin()
        self._is_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_open = False
        if error is not None:
            self._engine.abandon()
            self.reason = f"the block raised {type(error).__name__}"
            return
        self._average()
        self._attempt.loss = total(self._losses)
        outcome = self._engine.end(self._attempt, self._commit)
        self.committed, self.reason = outcome.committed, outcome.reason

    def _commit(self) -> bool:
        attempt = self._attempt
        return self._committer(attempt.optimizers, attempt.grad_norm, stepped=attempt.has_stepped)

    def _share(self, items: float | None) -> float:
        """What the loss is multiplied with: its items over those of the first call."""
        if self._losses and (items is None) != (self._first_items is None):
            msg = "step.backward(items=...): given in one call of the block and not in another,"
            raise UsageError(f"{msg} expected in all of them or in none.")
        if items is None:
            return 1.0
        if not 0 < items < float("inf"):
            msg = f"step.backward(items={items!r}): expected a number above 0"
            raise UsageError(f"{msg}: leave out a microbatch that has no items.")
        self._first_items = self._first_items or float(items)
        return float(items) / self._first_items

    def _average(self) -> None:
        """The sum of the gradients becomes their mean; a single one stays as it is."""
        weight = sum(share for _, share in self._losses)
        if len(self._losses) > 1:
            grads = [p.grad for p in with_gradients(self._attempt.optimizers)]
            with torch.no_grad():
                scale_([g for g in grads if g is not None], torch.tensor(1.0 / weight).double())

    def _check_open(self, method: str) -> None:
        if not self._is_open:
            msg = f"step.{method}() was called outside its block, expected inside"
            raise UsageError(f"{msg} 'with guard.step(batch) as step:'.")
