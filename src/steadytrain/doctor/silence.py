"""The finding of a run that alarms nobody and learns nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Finding, Severity
from steadytrain.doctor.observing import Observation
from steadytrain.doctor.reading import Reading

RULE: Final = "no-progress"
CODE: Final = "DYN900"

NOMINATED: Final = (
    "lr-too-low",
    "lr-too-high",
    "label-misaligned",
    "data-not-normalized",
    "vanishing-gradient",
    "missing-optimizer-step",
    "params-not-in-optimizer",
    "frozen-params",
    "loss-input-mismatch",
    "label-noise",
)
"""What leaves a loss where it began without any other sign, the most frequent first."""


def no_progress(base: Observation, reading: Reading) -> Iterator[Finding]:
    """A note where the observed run was finite, without an alarm, and its loss did not fall."""
    if reading.alarms or not reading.is_finite or reading.learned:
        return
    yield Finding(
        rule=RULE,
        code=CODE,
        severity=Severity.NOTE,
        step=max(0, base.steps - 1),
        message=(
            f"The loss went from {reading.head:.4g} to {reading.tail:.4g} in {base.steps} steps, "
            f"not more than its noise of {reading.error:.2g} explains, and no rule says why. "
            "Either the run has nothing left to learn, or something is wrong that only a trial shows."
        ),
        causes=NOMINATED,
        evidence={"loss": reading.tail, "first_loss": reading.head, "noise": reading.error},
    )
