"""What is wrong with a step that is about to be taken, from a handful of numbers.

Pure: numbers in, a verdict out, and a state that is saved with the run. Not finite, finite but
too large for the optimizer, a spike, a loss that only makes one doubt, a bit that flipped, weights
that leapt, damage at rest, an ordinary overflow of a loss scaler: each is a verdict of its own,
because each is answered differently.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from steadytrain.core.errors import UsageError
from steadytrain.core.finding import Evidence
from steadytrain.guard.detect_spike import SpikeDetector, SpikeOptions

VerdictKind = Literal[
    "good", "overflow", "suspect", "spike", "huge", "nonfinite", "flip", "leap", "state"
]

SEVERITY: Final[tuple[VerdictKind, ...]] = get_args(VerdictKind)
"""Every kind, the worst last: what several ranks saw is the worst of it."""

GRADIENT_CEILING: Final = math.sqrt(3.4028234663852886e38)
"""The largest norm whose square float32 holds: Adam would divide by infinity for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The numbers of one step before it is taken.

    A number that was not measured is None.
    """

    loss: float | None = None
    grad_norm: float | None = None
    """L2, unscaled, before clipping; not finite only where an element is not."""
    grad_ceiling: float = GRADIENT_CEILING
    """The largest norm the optimizer's second moments can hold."""
    max_norm: float = math.inf
    """The user's own clip threshold: what it bounds is no spike."""
    buffer_norm: float | None = None
    """L2 of the floating-point buffers after the forward pass."""
    scaled: bool = False
    """Whether a loss scaler will judge the gradients by itself."""
    num_losses_nonfinite: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong with a step, or that nothing is."""

    kind: VerdictKind = "good"
    reason: str = ""
    evidence: Mapping[str, Evidence] = field(default_factory=dict[str, Evidence])

    @property
    def is_good(self) -> bool:
        """Whether the step may be taken; a loss scaler's own skip is its business."""
        return self.kind in ("good", "overflow")


class Detector:
    """Judges readings by what the run has shown so far.

    Args:
        options: what counts as a spike.

    Example:
        >>> detector = Detector(SpikeOptions())
        >>> detector.judge(Reading(loss=float("nan"), grad_norm=1.0)).reason
        'the loss is nan'
    """

    def __init__(self, options: SpikeOptions) -> None:
        self._options = options
        self._series: dict[str, SpikeDetector] = {}

    def judge(self, reading: Reading, key: str = "") -> Verdict:
        """The verdict on a step, which is not remembered yet.

        Args:
            reading: its numbers.
            key: whose steps it is compared with, where optimizers take turns.
        """
        for check in (_nonfinite, _huge):
            if verdict := check(reading):
                return verdict
        for name, value in _judged(reading):
            series, natural = self._of(key, name), self._natural(name, reading, key)
            if series.is_spike(value, natural):
                return _spike(name, value, series, natural)
        if reading.loss is not None and self._of(key, "loss").is_suspect(reading.loss):
            return _suspect(reading.loss, self._of(key, "loss"))
        return Verdict()

    def accept(self, reading: Reading, key: str = "") -> None:
        """The step was taken: its numbers are part of what is usual."""
        for name, value in _judged(reading):
            self._of(key, name).accept(value)

    def refuse(self, reading: Reading, key: str = "") -> int:
        """The step was not taken; returns how many spikes of one series came in a row."""
        rows = [0]
        for name, value in _judged(reading):
            series = self._of(key, name)
            if series.is_spike(value, self._natural(name, reading, key)):
                rows.append(series.refuse(value))
        return max(rows)

    def reanchor(self, key: str = "") -> None:
        """What was refused last is the level of the run from now on."""
        for name, series in self._series.items():
            if name.startswith(f"{key}/"):
                series.reanchor()

    def usual(self, name: str, key: str = "") -> float:
        """The median of a series' recent magnitudes; NaN while there is none."""
        return self._of(key, name).usual

    def state_dict(self) -> dict[str, Any]:
        """What has been remembered, as numbers, strings and lists."""
        return {name: series.state_dict() for name, series in self._series.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The detector goes on where the one that was saved stopped.

        Raises:
            UsageError: the state is not one of `state_dict`; nothing was changed.
        """
        loaded: dict[str, SpikeDetector] = {}
        for name, own in state.items():
            if not isinstance(own, Mapping):
                msg = f"a detector's state needs a mapping for every series, found {own!r:.80}"
                raise UsageError(f"{msg} under {name!r}. Pass what state_dict() returned.")
            loaded[name] = self._new(name)
            loaded[name].load_state_dict(own)
        self._series = loaded

    def _of(self, key: str, name: str) -> SpikeDetector:
        full = f"{key}/{name}"
        if full not in self._series:
            self._series[full] = self._new(full)
        return self._series[full]

    def _new(self, full: str) -> SpikeDetector:
        options = self._options
        if full.endswith("/gradient norm"):
            options = replace(options, peak_ratio=options.gradient_ratio)
        return SpikeDetector(options)

    def _natural(self, name: str, reading: Reading, key: str) -> float | None:
        """The level that counts as seen: of gradients a lower one where the loss is as usual."""
        if name != "gradient norm" or reading.loss is None:
            return None
        is_usual = self._of(key, "loss").is_usual(reading.loss)
        return self._options.natural / self._options.gradient_ratio if is_usual else None


def worst(kinds: list[VerdictKind]) -> VerdictKind:
    """The worst of several verdicts on one step."""
    return SEVERITY[max(map(SEVERITY.index, kinds), default=0)]


def _judged(reading: Reading) -> Iterator[tuple[str, float]]:
    """The numbers that may spike: a gradient that the user's clip bounds cannot."""
    if reading.loss is not None:
        yield "loss", reading.loss
    if reading.grad_norm is not None and not math.isfinite(reading.max_norm):
        yield "gradient norm", reading.grad_norm
    if reading.buffer_norm is not None:
        yield "buffer norm", reading.buffer_norm


def _nonfinite(reading: Reading) -> Verdict | None:
    seen: list[tuple[str, float]] = []
    for name in ("loss", "grad_norm", "buffer_norm"):
        value = getattr(reading, name)
        if value is not None and not math.isfinite(value):
            seen.append((name, value))
    if not seen and not reading.num_losses_nonfinite:
        return None
    if reading.scaled and [name for name, _ in seen] == ["grad_norm"]:
        return Verdict(kind="overflow", reason="the scaled gradients overflowed: the scaler's case")
    name, value = seen[0] if seen else ("loss", math.nan)
    text = {"loss": "the loss is", "grad_norm": "the gradient norm is"}.get(name, "buffers hold")
    return Verdict(kind="nonfinite", reason=f"{text} {value}", evidence={name: value})


def _huge(reading: Reading) -> Verdict | None:
    norm = reading.grad_norm
    if norm is None or norm <= reading.grad_ceiling:
        return None
    reason = f"the gradient norm {norm:.3g} is finite but above {reading.grad_ceiling:.3g}: its"
    return Verdict(
        kind="huge",
        reason=f"{reason} square overflows an optimizer's second moment",
        evidence={"grad_norm": norm, "limit": reading.grad_ceiling},
    )


def _spike(name: str, value: float, series: SpikeDetector, natural: float | None) -> Verdict:
    usual, limit = series.usual, series.limit_at(natural)
    return Verdict(
        kind="spike",
        reason=f"the {name} {value:.3g} is above {limit:.3g}, where {usual:.3g} is usual",
        evidence={name.replace(" ", "_"): value, "usual": usual, "limit": limit},
    )


def _suspect(loss: float, series: SpikeDetector) -> Verdict:
    usual = series.usual
    return Verdict(
        kind="suspect",
        reason=f"the loss {loss:.3g} is far above {usual:.3g}, which is usual",
        evidence={"loss": loss, "usual": usual},
    )
