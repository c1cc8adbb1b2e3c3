"""Clipping of what is exceptional only: against the median of the recent norms, in log space.

Clips that follow a running mean fail in three ways, each of which was seen by running them: one
NaN enters the statistics and stays there; after the norm doubles for good they clip every step
from then on, because they only ever remember what they clipped; thresholds per tensor freeze
layers that begin with a gradient of zero. This one judges the total norm, remembers norms as they
were measured, and gives what is not finite a verdict of its own.

## Formula
With x = log ‖g‖, m and s the median and 1.4826 * MAD of the last `window` x:
log c = m + max(deviations * s, log min_ratio); g <- g * min(1, c / ‖g‖).
Refused: ‖g‖ not finite, ‖g‖² above the largest float32 (float64 for float64 gradients), or ‖g‖
above `refuse_ratio` times the median. Until `warmup_steps` norms are known, c = `warmup_max_norm`.

A median gives way when half of the window is new: after a lasting change of level the clip is back
at rest within window / 2 steps, and a drift is followed as it comes.

## Shape
Gradients of any shape, changed in place.

## Dtype
As `clip_grad_norm_`, a DTensor's norm complete over its ranks: every rank decides alike.

## Cost
One pass that reads, and one that writes on the steps that are clipped; one synchronisation on a
device, because a step is refused on the host; `window` numbers of memory and two sorts of them.

## Source
Median and MAD: Hampel 1974; log space: gradient norms are log-normal to first order. `window` 100
and `deviations` 5 are set by the lab experiment `clipping`, over noise of 5 to 50% variation,
Gaussian to Student's t with 3 degrees of freedom. Spikes up to 1000 times the mean are reported by
Huang et al. 2025 (SPAM), section 3; `refuse_ratio` is ten times that.

## Helps against
`missing-grad-clip`, `exploding-gradient`, `bad-batch`, `nonfinite-input`, `fp16-overflow`
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._adaptive import (
    AdaptiveClip,
    ClipVerdict,
    check_count,
    check_positive,
    saved_norms,
    verdict_for,
)

NORMAL_MAD: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

MIN_WINDOW: Final = 16
"""Below it the spread is not known to better than a third."""


class RobustClip(AdaptiveClip):
    """Leaves usual steps alone, clips exceptional ones, refuses impossible ones.

    Args:
        window: norms that say what is usual.
        deviations: robust standard deviations of log ‖g‖ above the median that are usual.
        min_ratio: what is below this many times the median is never clipped.
        refuse_ratio: what is above this many times the median has no direction worth keeping.
            If such norms come `window / 2` times in a row they are the new level.
        warmup_steps: steps clipped at `warmup_max_norm` while nothing is known yet.
        warmup_max_norm: the fixed limit of these steps; infinite to leave them alone.
        max_norm: an upper limit for all time, beside the adaptive one.

    Raises:
        UsageError: a number is out of its range.

    Example:
        >>> import torch
        >>> clip = RobustClip()
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.AdamW([weight])
        >>> weight.grad = torch.tensor([1.0, float("nan")])
        >>> clip([weight]).reason
        'the gradient norm is nan, not finite in parameter 0; the step is left out'
        >>> optimizer.step()
        >>> weight.tolist()
        [1.0, 1.0]
    """

    def __init__(
        self,
        *,
        window: int = 100,
        deviations: float = 5.0,
        min_ratio: float = 1.5,
        refuse_ratio: float = 1e4,
        warmup_steps: int = 32,
        warmup_max_norm: float = 1.0,
        max_norm: float | None = None,
    ) -> None:
        check_count("window", window, MIN_WINDOW)
        check_count("warmup_steps", warmup_steps, MIN_WINDOW)
        check_positive("deviations", deviations)
        check_positive("min_ratio", min_ratio, 1.0)
        check_positive("refuse_ratio", refuse_ratio, min_ratio)
        check_positive("warmup_max_norm", warmup_max_norm)
        check_positive("max_norm", math.inf if max_norm is None else max_norm)
        super().__init__(window)
        self.window = window
        self.deviations = float(deviations)
        self.min_ratio = float(min_ratio)
        self.refuse_ratio = float(refuse_ratio)
        self.warmup_steps = min(warmup_steps, window)
        self.warmup_max_norm = float(warmup_max_norm)
        self.max_norm = math.inf if max_norm is None else float(max_norm)
        self._strangers: list[float] = []

    def _judge(self, total_norm: float) -> ClipVerdict:
        usual, threshold = self._usual_and_threshold()
        if total_norm <= 0.0:
            return verdict_for(total_norm, threshold, "")
        if usual is not None and total_norm > self.refuse_ratio * usual:
            return self._estranged(total_norm, usual)
        self._strangers.clear()
        self._norms.append(total_norm)
        known = "while too few steps are known" if usual is None else f"where {usual:.3g} is usual"
        return verdict_for(total_norm, threshold, known)

    def _estranged(self, total_norm: float, usual: float) -> ClipVerdict:
        """A norm of another world is refused; a row of them is a new world, not an accident."""
        text = f"the gradient norm {total_norm:.3g} is more than {self.refuse_ratio:g} times"
        text = f"{text} the usual {usual:.3g}; the step is left out"
        verdict = self._refused(total_norm, text)
        self._strangers.append(total_norm)
        if len(self._strangers) >= self.window // 2:
            self._norms.clear()
            self._norms.extend(self._strangers)
            self._strangers.clear()
        return verdict

    def _threshold(self) -> float:
        return self._usual_and_threshold()[1]

    def _usual_and_threshold(self) -> tuple[float | None, float]:
        """The median of the norms, None while there are too few, and the largest norm to keep."""
        if len(self._norms) < self.warmup_steps:
            return None, min(self.warmup_max_norm, self.max_norm)
        logs = [math.log(norm) for norm in self._norms]
        centre = median(logs)
        spread = NORMAL_MAD * median([abs(log - centre) for log in logs])
        reach = max(self.deviations * spread, math.log(self.min_ratio))
        return math.exp(centre), min(math.exp(min(centre + reach, 700.0)), self.max_norm)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "strangers": list(self._strangers)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        norms, strangers = saved_norms(state, "norms"), saved_norms(state, "strangers")
        if not all(norm > 0.0 for norm in (*norms, *strangers)):
            raise UsageError("a RobustClip's norms are above zero: this state is of another clip.")
        super().load_state_dict(state)
        self._strangers = strangers


TECHNIQUE = technique(__name__, __doc__, exports=("ClipVerdict", "RobustClip"))
