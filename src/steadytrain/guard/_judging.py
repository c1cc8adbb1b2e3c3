"""From the state of a step that is about to be taken to a verdict with its evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from steadytrain.core.finding import Evidence
from steadytrain.guard._agree import over_ranks
from steadytrain.guard._measure import (
    NUM_NAMED,
    Buffers,
    all_finite,
    bad_gradients,
    bad_samples,
    ceiling,
    damaged,
    gradient_norm,
    numbers_of,
    read,
)
from steadytrain.guard._parts import Parts, device_of, with_gradients
from steadytrain.guard._weights import Weighed, Weights
from steadytrain.guard.detect import SEVERITY, Detector, Reading, Verdict, VerdictKind
from steadytrain.optim.precision import MIN_SCALE
from steadytrain.watching.scaling import Scaling


@dataclass(kw_only=True, slots=True)
class Attempt:
    """One step that is under way."""

    optimizers: Sequence[Any]
    key: str = ""
    """Whose steps it is compared with, where optimizers take turns."""
    loss: Tensor | float | None = None
    batches: list[Any] = field(default_factory=list[Any])
    grad_norm: Tensor | None = None
    """The norm of the gradients as they are, once it was measured: the clip need not do it again."""
    norms: list[Tensor] = field(default_factory=list[Tensor])
    """Gradient norms that were measured while the step took place."""
    is_own: bool = False
    """Whether the user's code takes the step itself, so that it is judged afterwards."""
    has_stepped: bool = False
    """Whether an optimizer has stepped already, through a closure."""
    weighed: Weighed | None = None
    """The norms of the weights after the step, once they were measured."""
    flips: list[str] = field(default_factory=list[str])
    """Tensors that changed between the last step and this one, though nothing wrote to them."""
    wish: str = ""
    """Why the user's code wants the step left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What is known of a batch that was good and is shown again."""

    loss: float
    """Its loss when it was trained on."""
    suspect: float | None = None
    """The loss of the step that made one doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found about an attempt; all but the reading is the same on every rank."""

    reading: Reading
    verdict: Verdict
    due: bool
    """Whether a snapshot is due."""
    num_strangers: int = 0
    """Spikes of one series in a row, this one among them."""


class Judge:
    """Measures an attempt and judges it, alike on every rank.

    Args:
        parts: of the loop.
        detector: what the run has shown.
        max_norm: the loop's own clip threshold; infinite without one.
    """

    def __init__(self, parts: Parts, detector: Detector, max_norm: float) -> None:
        self._parts = parts
        self._detector = detector
        self._max_norm = max_norm
        self._device = device_of(parts.models)
        self._buffers = Buffers(parts.models, parts.average_modules())
        self.weights = Weights()

    def judge(
        self,
        attempt: Attempt,
        *,
        due: bool,
        control: Control | None,
        undo: Callable[[], None] | None,
    ) -> Judgement:
        """The verdict on an attempt whose forward and backward passes are done.

        Args:
            attempt: the step.
            due: whether a snapshot is due here.
            control: of a batch that was good before, if the step is on such a one.
            undo: leaves no trace of the attempt; None if nothing may be changed.
        """
        reading = self._measured(attempt)
        verdict = self._alone(attempt, reading)
        if control is not None and verdict.is_good:
            verdict = _compared(reading, control)
        strangers = 0
        if verdict.kind == "spike" and control is None:
            strangers = self._detector.refuse(reading, attempt.key)
        mine = [SEVERITY.index(verdict.kind), int(due), strangers]
        severity, any_due, strangers = over_ranks(mine, self._device)
        if SEVERITY.index(verdict.kind) < severity:
            kind = SEVERITY[severity]
            verdict = Verdict(kind=kind, reason=f"another rank saw a step that is {kind}")
        if not verdict.is_good:
            verdict = self._with_state(self._explained(attempt, verdict), undo)
        return Judgement(
            reading=reading, verdict=verdict, due=bool(any_due), num_strangers=strangers
        )

    def after(self, attempt: Attempt) -> Verdict:
        """The verdict on the weights once the step was taken. Cost: a pass over them."""
        weighed = self.weights.weigh(attempt.optimizers, attempt.key)
        kind: VerdictKind = "leap" if weighed.leapt else "good"
        kind = kind if weighed.is_finite else "state"
        (severity,) = over_ranks([SEVERITY.index(kind)], self._device)
        if SEVERITY[severity] == "state":
            return self.at_rest() or Verdict(
                kind="state", reason="weights of another rank are not finite"
            )
        attempt.weighed = weighed
        if SEVERITY[severity] != "leap":
            return Verdict()
        return self._leap(weighed.leapt)

    def accept(self, attempt: Attempt, reading: Reading) -> None:
        """The step stands: its numbers are part of what is usual."""
        self._detector.accept(reading, attempt.key)
        if attempt.weighed is not None:
            self.weights.accept(attempt.weighed, attempt.key)

    def _leap(self, tensors: Sequence[Tensor]) -> Verdict:
        known = self._parts.parameter_names()
        names = [known.get(id(one), "a parameter") for one in tensors] or ["one of another rank"]
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return Verdict(
            kind="leap",
            reason=f"{names[0]}{others} became many times as large in one step",
            evidence={"tensors": tuple(names[:NUM_NAMED]), "num_tensors": len(names)},
        )

    def at_rest(self) -> Verdict | None:
        """The verdict on everything at rest, or None where it is whole."""
        names = damaged(self._parts, self._buffers)
        if not any(over_ranks([int(bool(names))], self._device)):
            return None
        what = names[0] if names else "a tensor of another rank"
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return Verdict(
            kind="state",
            reason=f"{what}{others} held a number that is not finite between steps",
            evidence={"tensors": tuple(names[:NUM_NAMED]), "num_tensors": len(names)},
        )

    def _measured(self, attempt: Attempt) -> Reading:
        scaling = Scaling(self._parts.scaler)
        held = [] if attempt.is_own else with_gradients(attempt.optimizers)
        grads = [p.grad for p in held if p.grad is not None]
        norm: Tensor | None = gradient_norm(grads) if grads else None
        inverse = scaling.inverse(attempt.optimizers[0]) if grads else None
        attempt.grad_norm = norm if inverse is None else None
        if attempt.norms:
            norm = torch.stack([one.double().cpu() for one in attempt.norms]).norm()
        loss, size, buffers, factor, scale = read(
            [attempt.loss, norm, self._buffers.norm(), inverse, scaling.scale()]
        )
        if size is not None and factor is not None:
            size *= factor
        return Reading(
            loss=loss,
            grad_norm=size,
            grad_ceiling=ceiling(grads) if grads else ceiling([torch.zeros(())]),
            max_norm=self._max_norm,
            buffer_norm=buffers,
            scaled=inverse is not None and scale is not None and scale > MIN_SCALE,
        )

    def _alone(self, attempt: Attempt, reading: Reading) -> Verdict:
        if attempt.flips:
            others = f" and {len(attempt.flips) - 1} more" if len(attempt.flips) > 1 else ""
            return Verdict(
                kind="flip",
                reason=f"{attempt.flips[0]}{others} changed at rest, though nothing wrote to it",
                evidence={"tensors": tuple(attempt.flips[:NUM_NAMED])},
            )
        if attempt.wish:
            return Verdict(kind="nonfinite", reason=attempt.wish)
        verdict = self._detector.judge(reading, attempt.key)
        if verdict.is_good and (attempt.is_own or attempt.has_stepped):
            return self._own_step(attempt)
        return verdict

    def _own_step(self, attempt: Attempt) -> Verdict:
        """The verdict on weights that were stepped already; all of it can still be put back."""
        attempt.weighed = weighed = self.weights.weigh(attempt.optimizers, attempt.key)
        others = (numbers_of(one) for one in self._parts.parameters())
        if not weighed.is_finite or not all_finite([one for one in others if one is not None]):
            return Verdict(kind="nonfinite", reason="the step made weights that are not finite")
        return self._leap(weighed.leapt) if weighed.leapt else Verdict()

    def _explained(self, attempt: Attempt, verdict: Verdict) -> Verdict:
        evidence: dict[str, Evidence] = dict(verdict.evidence)
        reason = verdict.reason
        if verdict.kind == "nonfinite":
            names = bad_gradients(with_gradients(attempt.optimizers), self._parts.parameter_names())
            samples = [place for batch in attempt.batches for place in bad_samples(batch)]
            if names:
                evidence["gradients"] = tuple(names)
                reason = f"{reason}; first not finite in the gradient of {names[0]}"
            if samples:
                evidence["samples"] = tuple(samples[:NUM_NAMED])
                evidence["num_samples"] = len(samples)
                reason = f"{reason}; the batch itself is not finite in sample {samples[0]}"
        return replace(verdict, reason=reason, evidence=evidence)

    def _with_state(self, verdict: Verdict, undo: Callable[[], None] | None) -> Verdict:
        """The same verdict, unless it is the weights that are at fault and not the batch."""
        if verdict.kind == "flip":
            return verdict
        if verdict.kind in ("nonfinite", "huge"):
            if undo is None:
                return verdict
            undo()
        return self.at_rest() or verdict


def _compared(reading: Reading, control: Control) -> Verdict:
    """Good, unless the batch is nearer to what made one doubt than to what it once was."""
    loss, before, suspect = reading.loss, abs(control.loss), control.suspect
    if loss is None or suspect is None or abs(loss) <= math.sqrt(before) * math.sqrt(abs(suspect)):
        return Verdict()
    return Verdict(
        kind="suspect",
        reason=f"a batch that had the loss {control.loss:.3g} has {loss:.3g} now",
        evidence={"loss": loss, "loss_before": control.loss},
    )
