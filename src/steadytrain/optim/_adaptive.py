"""What adaptive clips share: measure, judge by the norms seen so far, act, remember."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor

from steadytrain.core.errors import UsageError
from steadytrain.optim._norms import elements, result_dtype, scale_, total_norm
from steadytrain.optim._parameters import Parameters, gradients, listed, named_once, once
from steadytrain.optim._shards import local

ClipKind = Literal["kept", "clipped", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipVerdict:
    """What an adaptive clip decided about the gradients of one step, and why.

    Example:
        >>> verdict = ClipVerdict(total_norm=0.5, threshold=1.0, coefficient=1.0, kind="kept")
        >>> verdict.kind, verdict.reason
        ('kept', '')
    """

    total_norm: float
    """The norm before clipping; NaN or infinite where an element is."""
    threshold: float
    """The largest norm that would have been kept; infinite where there is no limit."""
    coefficient: float
    """What the gradients were multiplied with; 0 where the step is refused."""
    kind: ClipKind
    """`refused`: the gradients are None now, so that `optimizer.step()` changes nothing."""
    reason: str = ""
    """Why the gradients were not kept; empty where they were."""


class AdaptiveClip(ABC):
    """Clips by a threshold that follows from the norms of earlier steps.

    Args:
        window: norms that are remembered.
    """

    def __init__(self, window: int) -> None:
        self._norms: deque[float] = deque(maxlen=window)

    @torch.no_grad()
    def __call__(self, parameters: Parameters) -> ClipVerdict:
        """The gradients are kept, scaled down, or None: one verdict for all of them.

        Call it once per step, after the last microbatch and after unscaling, with every
        parameter the optimizer steps.

        Raises:
            UsageError: there is no parameter.
        """
        given = listed(parameters)
        holders = once(given)
        grads = gradients(holders)
        if not grads:
            return ClipVerdict(total_norm=0.0, threshold=math.inf, coefficient=1.0, kind="kept")
        ceiling = _ceiling(result_dtype(grads))
        verdict = self.judge(float(total_norm(grads)), ceiling=ceiling, culprit=_Culprit(given))
        if verdict.kind == "refused":
            for holder in holders:
                holder.grad = None
        elif verdict.kind == "clipped":
            scale_(grads, torch.tensor(verdict.coefficient, dtype=torch.float64))
        return verdict

    def judge(
        self, total_norm: float, *, ceiling: float | None = None, culprit: object = ""
    ) -> ClipVerdict:
        """The verdict on a norm, which is remembered: for who measures and scales elsewhere.

        Args:
            total_norm: before clipping, unscaled.
            ceiling: norms above it are refused whatever came before; by default those whose
                square overflows float32.
            culprit: its text names the gradient to blame where the norm is not finite.
        """
        ceiling = _ceiling(torch.float32) if ceiling is None else ceiling
        if not math.isfinite(total_norm):
            text = f"the gradient norm is {total_norm}{culprit}; the step is left out"
            return self._refused(total_norm, text)
        if not total_norm <= ceiling:
            text = f"the gradient norm {total_norm:.3g} is above {ceiling:.3g}: its square"
            text = f"{text} overflows an optimizer's second moment; the step is left out"
            return self._refused(total_norm, text)
        return self._judge(total_norm)

    @abstractmethod
    def _judge(self, total_norm: float) -> ClipVerdict:
        """The verdict on a finite norm of plausible size, which is remembered."""

    @abstractmethod
    def _threshold(self) -> float:
        """The largest norm that would be kept now."""

    def _refused(self, total_norm: float, reason: str) -> ClipVerdict:
        return ClipVerdict(
            total_norm=total_norm,
            threshold=self._threshold(),
            coefficient=0.0,
            kind="refused",
            reason=reason,
        )

    def state_dict(self) -> dict[str, Any]:
        """What has been remembered, as numbers and lists: it loads with `weights_only=True`."""
        return {"norms": list(self._norms)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The clip goes on exactly where the one that was saved stopped.

        Raises:
            UsageError: the state is not one of `state_dict`.
        """
        self._norms.clear()
        self._norms.extend(saved_norms(state, "norms"))


def verdict_for(total_norm: float, threshold: float, usual: str) -> ClipVerdict:
    """Kept up to the threshold, clipped to it above."""
    if total_norm <= threshold:
        return ClipVerdict(total_norm=total_norm, threshold=threshold, coefficient=1.0, kind="kept")
    return ClipVerdict(
        total_norm=total_norm,
        threshold=threshold,
        coefficient=threshold / total_norm,
        kind="clipped",
        reason=f"the gradient norm {total_norm:.3g} is above {threshold:.3g}, {usual}",
    )


def check_positive(name: str, value: float, low: float = 0.0) -> None:
    """An option is a number above `low`.

    Raises:
        UsageError: it is not, or it is NaN.
    """
    if not float(value) > low:
        raise UsageError(f"{name} must be above {low:g}, got {value}. See the default for a size.")


def check_count(name: str, value: int, low: int) -> None:
    """An option is a whole number of steps from `low` on.

    Raises:
        UsageError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not value >= low:
        msg = f"{name} must be a whole number of steps from {low} on, got {value!r}"
        raise UsageError(f"{msg}: fewer have no typical size or spread.")


def saved_norms(state: Mapping[str, Any], key: str) -> list[float]:
    """The norms that `state_dict` wrote under `key`.

    Raises:
        UsageError: they are missing, or are not finite numbers.
    """
    norms = state.get(key)
    if isinstance(norms, list) and all(
        isinstance(one, float | int) and math.isfinite(one) for one in norms
    ):
        return [float(one) for one in norms]
    msg = f"a clip's state needs {key!r}, a list of finite numbers, found {norms!r:.80}"
    raise UsageError(f"{msg}. Pass what state_dict() of the same kind of clip returned.")


@dataclass(frozen=True, slots=True)
class _Culprit:
    """The first gradients that are not finite; looked for only when its text is asked for."""

    given: list[Any]

    def __str__(self) -> str:
        bad = (name for name, one in named_once(self.given).items() if _is_bad(one.grad))
        names = list(islice(bad, 3))
        return f", not finite in {', '.join(names)}" if names else ""


def _is_bad(grad: Tensor | None) -> bool:
    return grad is not None and not bool(torch.isfinite(elements(local(grad))).all())


def _ceiling(dtype: torch.dtype) -> float:
    """The largest norm whose square the dtype holds: Adam would divide by infinity for ever."""
    return math.sqrt(torch.finfo(dtype).max)
