"""A jump above everything a run has shown, told from noise, hard batches and lasting changes.

What is usual is the median and MAD of the recent magnitudes in log space. That alone is no
alarm: a hard batch on a model that has memorised its data lies a hundred spreads above the median
and is healthy. So a spike also stands far above the highest level the run has been trained at.

## Formula
x = ln |value|; m, s the median and 1.4826 * MAD of the last `window` x; p the largest median of
five consecutive accepted magnitudes. A spike: |value| > max(exp(m + deviations * s),
peak_ratio * max(p, natural)). Before `warmup` values, peak_ratio is squared; before four, none.

Between the two, a loss above max(exp(m + deviations * s), suspect_ratio * max(p, natural, c)) is
no alarm but a doubt, which a batch that was good before settles: are the weights as they were? c is
the largest value that such a look has cleared, so that a run is looked at a few times in its life.

The magnitude has no sign, so a loss that crosses zero or is negative is judged like any other; a
value near zero is far below the median and never above it.

## Source
Median and MAD: Hampel 1974. Spikes up to 1000 times the mean: Huang et al. 2025 (SPAM), section 3;
`peak_ratio` is a tenth of that, above what a wrong label costs a model that has memorised its data.
In 67,000 healthy steps of the lab no loss beyond 8 deviations was above 13 times max(p, natural), no
gradient norm above 11 times; targets that grow tenfold for good make a squared loss 81 times as large,
hence the 100. A gradient is judged more closely, at `gradient_ratio`, and against 1/30 of `natural`
where the loss of the step is usual: a hard batch raises both, a fault between them only one.
`natural` is the unit of a cross-entropy and of the usual clip threshold: a model that arrives
trained has shown no peak of its own yet.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from steadytrain.core.errors import UsageError
from steadytrain.core.robust import NORMAL_MAD

NEIGHBOURS: Final = 5
"""Values whose median is one level of the run: one outlier is no level."""

FIRST: Final = 4
"""Values before which nothing can be said."""

_LARGEST_LOG: Final = 700.0
_RATIOS: Final = (("gradient_ratio", 1.0), ("suspect_ratio", 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeOptions:
    """What counts as a jump above everything before it.

    Raises:
        UsageError: a number is out of its range.
    """

    window: int = 128
    """Recent values that say what is usual."""
    warmup: int = 16
    """Values before which the limit is `peak_ratio` squared."""
    deviations: float = 8.0
    """Robust standard deviations in log space that are still usual."""
    peak_ratio: float = 100.0
    """Times the highest level of the run that are still plausible."""
    gradient_ratio: float = 30.0
    """The same for gradient norms."""
    suspect_ratio: float = 5.0
    """Times the same level above which a loss makes one look at a batch that was good again."""
    natural: float = 1.0
    """The level that counts as seen from the start; 0 for losses in very small units."""

    def __post_init__(self) -> None:
        for name, low in (("window", 16), ("warmup", FIRST)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not value >= low:
                msg = f"SpikeOptions.{name}: got {value!r}, expected a whole number from {low} on"
                raise UsageError(f"{msg}: fewer values have no spread.")
        for name, low in (("deviations", 0.0), ("peak_ratio", 1.0), *_RATIOS):
            if not low < getattr(self, name) < math.inf:
                msg = (
                    f"SpikeOptions.{name}: got {getattr(self, name)!r}, expected more than {low:g}"
                )
                raise UsageError(f"{msg}, and finite: below it ordinary noise is an alarm.")
        if not 0.0 <= self.natural < math.inf:
            msg = f"SpikeOptions.natural: got {self.natural!r}, expected a finite number from 0 on"
            raise UsageError(f"{msg}: 1 is the unit of a cross-entropy.")


class SpikeDetector:
    """Judges one series, and remembers of it only what was accepted.

    Args:
        options: what counts as a spike.

    Example:
        >>> detector = SpikeDetector(SpikeOptions())
        >>> for step in range(40):
        ...     detector.accept(2.0 + 0.1 * (step % 3))
        >>> detector.is_spike(20.0), detector.is_spike(2e4), detector.is_spike(float("nan"))
        (False, True, True)
    """

    def __init__(self, options: SpikeOptions) -> None:
        self._options = options
        self._recent: deque[float] = deque(maxlen=options.window)
        self._level = 0.0
        self._cleared = 0.0
        self._count = 0
        self._strangers: list[float] = []

    @property
    def usual(self) -> float:
        """The median of the recent magnitudes; NaN while there is none."""
        return median(self._recent) if self._recent else math.nan

    @property
    def limit(self) -> float:
        """The largest magnitude that is no spike now."""
        return self.limit_at(None)

    def limit_at(self, natural: float | None) -> float:
        """The same where another level counts as seen."""
        return max(self._floor(natural), self._usual_limit())

    def is_spike(self, value: float, natural: float | None = None) -> bool:
        """Whether `value` lies above the limit, or is no finite number.

        Args:
            value: of the series.
            natural: the level that counts as seen; that of the options if None.
        """
        if not math.isfinite(value):
            return True
        # the medians are looked at only where the plain limit does not settle it
        return not (abs(value) <= self._floor(natural) or self.is_usual(value))

    def is_usual(self, value: float) -> bool:
        """Whether the spread of the recent values makes `value` plausible."""
        return abs(value) <= self._usual_limit()

    def is_suspect(self, value: float) -> bool:
        """Whether `value` is less than a spike, and more than the run ever was near to."""
        ratio = self._options.suspect_ratio
        if self._count < self._options.warmup:
            return False
        return not (
            abs(value) <= ratio * max(self._level, self._options.natural, self._cleared)
            or self.is_usual(value)
        )

    def accept(self, value: float) -> None:
        """A value that is part of the run is remembered; one that is not finite never is."""
        if not math.isfinite(value):
            return
        if self.is_suspect(value):
            self._cleared = abs(value)
        self._strangers.clear()
        self._recent.append(abs(value))
        self._count += 1
        newest = [self._recent[-1 - back] for back in range(min(NEIGHBOURS, len(self._recent)))]
        if len(newest) == NEIGHBOURS:
            self._level = max(self._level, median(newest))

    def refuse(self, value: float) -> int:
        """A value that was no part of the run is counted; returns how many came in a row."""
        if math.isfinite(value):
            self._strangers.append(abs(value))
        return len(self._strangers)

    def reanchor(self) -> None:
        """The values refused last are the level of the run from now on."""
        strangers = self._strangers[-self._options.window :]
        if not strangers:
            return
        self._recent.clear()
        self._recent.extend(strangers)
        self._level = median(strangers)
        self._count = max(self._count, len(strangers))
        self._strangers = []

    def state_dict(self) -> dict[str, Any]:
        """What has been remembered, as numbers and lists."""
        return {
            "recent": list(self._recent),
            "level": self._level,
            "cleared": self._cleared,
            "count": self._count,
            "strangers": list(self._strangers),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The detector goes on where the one that was saved stopped.

        Raises:
            UsageError: the state is not one of `state_dict`; nothing was changed.
        """
        recent, strangers = _magnitudes(state, "recent"), _magnitudes(state, "strangers")
        (level,), count = _magnitudes({"level": [state.get("level")]}, "level"), state.get("count")
        (cleared,) = _magnitudes({"cleared": [state.get("cleared", 0.0)]}, "cleared")
        if not isinstance(count, int) or not count >= 0:
            raise UsageError(f"a spike detector's count must be a whole number, found {count!r}.")
        self._recent.clear()
        self._recent.extend(recent)
        self._strangers, self._level, self._count = strangers, level, count
        self._cleared = cleared

    def _floor(self, natural: float | None = None) -> float:
        """The largest magnitude that the highest level of the run makes plausible."""
        options = self._options
        if self._count < FIRST:
            return math.inf
        ratio = options.peak_ratio if self._count >= options.warmup else options.peak_ratio**2
        natural = options.natural if natural is None else natural
        return ratio * max(self._level or max(self._recent, default=0.0), natural)

    def _usual_limit(self) -> float:
        """The largest magnitude that the spread of the recent values makes plausible."""
        logs = [math.log(one) for one in self._recent if one > 0.0]
        if not logs:
            return 0.0
        centre = median(logs)
        spread = NORMAL_MAD * median([abs(log - centre) for log in logs])
        return math.exp(min(centre + self._options.deviations * spread, _LARGEST_LOG))


def _magnitudes(state: Mapping[str, Any], key: str) -> list[float]:
    values = state.get(key)
    if isinstance(values, list) and all(
        isinstance(one, float | int) and math.isfinite(one) and one >= 0 for one in values
    ):
        return [float(one) for one in values]
    msg = (
        f"a spike detector's state needs {key!r} as finite numbers from 0 on, found {values!r:.80}"
    )
    raise UsageError(f"{msg}. Pass what state_dict() of a spike detector returned.")
