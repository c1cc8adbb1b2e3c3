"""The only code that changes a run: a step is taken, or leaves no trace, or is gone back on.

commit     unscale -> clip -> optimizers -> scaler -> schedules -> averages -> gradients cleared
abort      gradients None, buffers, attributes and random sources as before the forward pass;
           weights, moments, schedule, average and loss scale were not touched
roll back  everything as in a snapshot, to the bit
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from steadytrain.guard._parts import Parts, updater_of, with_gradients
from steadytrain.optim._norms import scale_
from steadytrain.optim.clipping import clip_grad_norm_
from steadytrain.optim.moments import reset_moments
from steadytrain.optim.precision import MIN_SCALE
from steadytrain.snapshots import Snapshot, misfit, restore
from steadytrain.watching.scaling import Scaling

Clipper = Callable[..., Any]


class Committer:
    """Takes the step of a loop that leaves it to the guard, in the right order.

    Args:
        parts: of the loop.
        clip: threshold of the gradient norm, or None.
        watch: whose clip is used, so that the norms are measured once.
    """

    def __init__(self, parts: Parts, clip: float | None, watch: Any) -> None:
        self._parts = parts
        self._clip = clip
        self._watched = watch is not None
        self._clipper: Clipper = clip_grad_norm_ if watch is None else _clip_of(watch)
        model = parts.models[0]
        self._updates = [updater_of(average, model) for average in parts.averages]

    def __call__(
        self, optimizers: Sequence[Any], norm: Tensor | None = None, *, stepped: bool = False
    ) -> bool:
        """The step is taken, or left out by the loss scaler; returns whether weights moved.

        Args:
            optimizers: that take part.
            norm: of their gradients as they are, where it is known.
            stepped: whether they have stepped already, through a closure.
        """
        chosen = [one for one in optimizers if with_gradients([one])] or list(optimizers)
        moved = True if stepped else self._step(chosen, norm)
        if moved:
            for scheduler in self._parts.schedulers:
                if any(one is getattr(scheduler, "optimizer", one) for one in chosen):
                    scheduler.step()
            for update in self._updates:
                update()
        self._parts.clear_gradients()
        return moved

    def _step(self, optimizers: Sequence[Any], norm: Tensor | None) -> bool:
        scaler = self._parts.scaler
        scaling = Scaling(scaler)
        scaled = scaling.known and any(with_gradients([one]) for one in optimizers)
        if scaled:
            for optimizer in optimizers:
                if scaling.inverse(optimizer) is not None:
                    scaler.unscale_(optimizer)
        self._clip_gradients(with_gradients(optimizers), norm)
        if not scaled:
            for optimizer in optimizers:
                optimizer.step()
            return True
        before = scaler.get_scale()
        for optimizer in optimizers:
            scaler.step(optimizer)
        scaler.update()
        after = scaler.get_scale()
        if after < MIN_SCALE:
            scaler.update(MIN_SCALE)
        return not after < before

    def _clip_gradients(self, parameters: Sequence[Tensor], norm: Tensor | None) -> None:
        """The gradients are clipped, with the norm that was measured before where there is one."""
        if self._clip is None or not parameters:
            return
        if norm is None or self._watched:
            self._clipper(parameters, self._clip)
        elif not float(norm) + 1e-6 <= self._clip:  # up to there torch's factor is 1
            factor = torch.clamp(self._clip / (norm + 1e-6), max=1.0)
            with torch.no_grad():
                scale_([p.grad for p in parameters if p.grad is not None], factor)


def limit_gradients(parameters: Sequence[Tensor], norm: float, limit: float) -> None:
    """The gradients, which are `norm` long, are no longer than `limit`."""
    if math.isfinite(limit) and norm > limit:
        grads = [p.grad for p in parameters if p.grad is not None]
        with torch.no_grad():
            scale_(grads, torch.tensor(limit / norm, dtype=torch.float64))


def go_back(snapshot: Snapshot, parts: Mapping[str, Any], *, forget_moments: bool) -> str | None:
    """Everything is as in the snapshot; or nothing was changed, and the reason is returned.

    Args:
        snapshot: of the same parts.
        parts: by name.
        forget_moments: the optimizers begin with fresh moments.
    """
    if (reason := misfit(snapshot, parts)) is not None:
        return reason
    restore(snapshot, parts)
    for part in parts.values() if forget_moments else ():
        if isinstance(part, torch.optim.Optimizer) and part.state:
            reset_moments(part)
    return None


def _clip_of(watch: Any) -> Clipper:
    return lambda parameters, limit: watch.clip_grad_norm_(limit, parameters=parameters)
