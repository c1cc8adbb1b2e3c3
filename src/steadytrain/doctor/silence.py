"""The finding of a run that alarms nobody and learns nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch

from steadytrain.core.finding import Finding, Severity
from steadytrain.doctor.observing import Observation
from steadytrain.doctor.reading import SURE, Reading

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


SIDE: Final = 0.05
"""Share of steps on the other side of zero from which a loss takes both signs."""

AT_THE_LEVEL: Final = 0.97
"""Share of a constant guess's loss from which a classifier knows nothing else."""


def is_silent(base: Observation, reading: Reading) -> bool:
    """Whether the observed run was finite, alarmed nobody, and learned nothing.

    Its loss did not fall by more than its noise; or it came down to what the best constant guess
    of the classes has, and stays there. A loss that takes both signs, as a policy gradient's, is
    no measure of progress.
    """
    if reading.alarms or not reading.is_finite or _takes_both_signs(base.losses):
        return False
    return not reading.learned or _only_guesses(base, reading)


def no_progress(base: Observation, reading: Reading) -> Iterator[Finding]:
    """A note where the observed run was silent and learned nothing."""
    if not is_silent(base, reading):
        return
    yield Finding(
        rule=RULE,
        code=CODE,
        severity=Severity.NOTE,
        step=max(0, base.steps - 1),
        message=(
            f"The loss went from {reading.head:.4g} to {reading.tail:.4g} in {base.steps} steps, "
            "not more than its noise or a constant guess explains, and no rule says why. Either "
            "the run has nothing left to learn, or something is wrong that only a trial shows."
        ),
        causes=NOMINATED,
        evidence={"loss": reading.tail, "first_loss": reading.head, "noise": reading.error},
    )


def summed_loss(base: Observation, reading: Reading) -> Iterator[Finding]:
    """A warning where a run in trouble sums its loss over the batch: the call itself says so."""
    if not reading.alarms and reading.is_finite:
        return
    for call in base.loss_calls:
        if call.arguments.get("reduction") == "sum" and call.input.shape[:1] > (1,):
            yield Finding(
                rule="summed-loss",
                code="LOS900",
                severity=Severity.WARNING,
                step=0,
                message=f"{call.name} was called with reduction='sum' over {call.input.shape[0]} "
                "samples, so that the gradient is as many times that of a mean.",
                causes=("loss-reduction",),
                evidence={"samples": call.input.shape[0]},
            )
            return


def _takes_both_signs(losses: Sequence[float]) -> bool:
    below = sum(loss < 0 for loss in losses) / max(1, len(losses))
    return SIDE < below < 1 - SIDE


def _only_guesses(base: Observation, reading: Reading) -> bool:
    """Whether the loss ends, and no longer falls, where the share of each class is all it knows."""
    level = _constant_level(base)
    half = np.asarray(base.losses[len(base.losses) // 2 :], dtype=np.float64)
    if not 0 < AT_THE_LEVEL * level <= reading.tail or len(half) < 8:
        return False
    first, last = np.array_split(half, 2)
    return not first.mean() - last.mean() > SURE * reading.error


def _constant_level(base: Observation) -> float:
    """The loss of the best constant guess on the first microbatch; NaN where it cannot be told."""
    if len(base.loss_calls) != 1 or base.loss_calls[0].name != "cross_entropy":
        return math.nan
    call = base.loss_calls[0]
    target, plain = call.target, {"mean", None}
    if target is None or target.is_floating_point() or call.input.ndim != 2:
        return math.nan
    if call.arguments.get("reduction") not in plain or call.arguments.get("weight") is not None:
        return math.nan
    counts = torch.bincount(target.clamp_min(0).reshape(-1)).double()
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * shares.log()).sum())
