"""The first loss is about that of a guess that knows nothing.

## What it does
Compares the first loss over classes with that of equal chances, `ln C`, computed by the loss itself
(so that `ignore_index`, class weights, label smoothing and the reduction count), and a squared
error with the mean square of the targets.

## Why it matters
A fresh network that is certain and wrong spends its first steps on unlearning, with gradients as
much too large as its outputs; a loss far below the guess on the first batch says that the answer
leaks in, or that the loss counts what is easy.

## Passes when
The loss over classes is at most ln C above that of the guess (and at least 4.5 nats are allowed); a
squared error is at most 100 times that of answering zero.

## Fails when
It is above.

## What to do
Begin the output layer small (`nn.init.zeros_` or a gain of 0.01), normalise before it, scale
regression targets to unit variance.

## Source
Karpathy 2019, "verify loss @ init". Random logits of standard deviation s cost s^2 / 2 nats over
the guess (Gaussian logits): the limit of 4.5 allows s = 3, nine times the variance of a layer
of unit gain: residual stacks without a norm at their end have that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.checks._losses import class_dim, indices, loss_calls, output_of, target_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Finding

_LARGE_INPUT: Final = 4.0
"""Root mean square of inputs that are not standardised."""


@check(
    code="LOS205",
    causes=("init-too-large", "data-not-normalized", "target-not-normalized"),
    stage="start",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class InitialLoss:
    """The first loss is that of a guess."""

    max_excess: float = 4.5
    """Nats over the guess that are always allowed; ln C where that is more."""
    max_squared_ratio: float = 100.0
    """Squared error over the mean square of the targets, which answering zero gives: outputs ten
    times as large as the targets."""

    def judge(self, scene: Scene, /) -> Answer:
        calls = [call for call in loss_calls(scene, "cross_entropy", "mse_loss") if _counts(call)]
        answers = [
            self._classes(scene, call)
            if call.name == "cross_entropy"
            else self._squares(scene, call)
            for call in calls
        ]
        if not answers:
            raise Unseen("no loss of the network's own outputs was seen")
        return next((one for one in answers if one.verdict == "failed"), answers[0])

    def _classes(self, scene: Scene, call: Call) -> Answer:
        classes = output_of(call).shape[class_dim(output_of(call))]
        loss = _per_item(call, output_of(call))
        guess = _per_item(call, torch.zeros_like(output_of(call)))
        seen = f"{loss:.3g} against {guess:.3g} of a guess over {classes} classes"
        if loss - guess <= max(self.max_excess, math.log(classes)):
            return passed(self, seen, loss)
        spread = float(output_of(call).float().std(dim=class_dim(output_of(call))).mean())
        said = finding(
            self,
            f"The first loss is {loss:.4g}, where equal chances over {classes} classes give "
            f"{guess:.4g}: the logits spread by {spread:.3g}, expected about 1. Begin the output layer "
            "smaller, or normalise what it is given.",
            site=_head(scene, call),
            causes=_causes(scene, "missing-norm"),
            evidence={"loss": loss, "guess": guess, "logit_std": spread},
        )
        return failed(self, seen, loss, findings=[said])

    def _squares(self, scene: Scene, call: Call) -> Answer:
        output, target = output_of(call).float(), target_of(call).float()
        if output.shape != target.shape or not target.numel():
            raise Unseen("outputs and targets differ in shape")
        loss = float((output - target).square().mean())
        guess = float(target.square().mean())
        ratio = loss / guess if guess > 0 else 0.0
        seen = f"{loss:.3g} against {guess:.3g} of answering zero"
        if guess > 0 and not ratio <= self.max_squared_ratio:
            return failed(self, seen, ratio, findings=[self._far(scene, output, loss, guess)])
        return passed(self, seen, ratio)

    def _far(self, scene: Scene, output: Tensor, loss: float, guess: float) -> Finding:
        size, wanted = float(output.square().mean().sqrt()), math.sqrt(guess)
        return finding(
            self,
            f"The first squared error is {loss:.4g}, where answering zero gives {guess:.4g}: outputs "
            f"have size {size:.3g}, targets {wanted:.3g}. Expected outputs no larger than the targets: "
            "begin the output layer smaller, or scale what the network is given.",
            causes=_causes(scene, "target-not-normalized"),
            evidence={"loss": loss, "guess": guess, "output_rms": size, "target_rms": wanted},
        )


def _causes(scene: Scene, last: str) -> tuple[str, ...]:
    """What is too large: the weights, or what the network is given."""
    given = [facts for one in scene.first.modules[:1] for facts in one.inputs]
    largest = max((one.rms for one in given if one.dtype.is_floating_point), default=0.0)
    data = "data-not-normalized"
    if largest > _LARGE_INPUT:
        return data, "init-too-large", last
    return "init-too-large", last, data


def _counts(call: Call) -> bool:
    """Whether it is a loss of the network's outputs, and could be computed."""
    return call.input_needs_grad and not call.raised and call.output.numel() > 0


def _per_item(call: Call, logits: Tensor) -> float:
    """The loss of `logits` under the call's own options, as a mean over what counts."""
    options = {name: call[name] for name in ("weight", "ignore_index", "label_smoothing")}
    given = {name: value for name, value in options.items() if value is not None}
    weight = given.pop("weight", None)
    weight = None if weight is None else weight.float()
    used = indices(call)
    if not target_of(call).is_floating_point() and not used.numel():
        raise Unseen("no target counts")
    loss = functional.cross_entropy(logits.float(), target_of(call), weight=weight, **given)
    return float(loss)


def _head(scene: Scene, call: Call) -> str | None:
    """The last module whose output has the shape of the logits' last part."""
    classes = output_of(call).shape[class_dim(output_of(call))]
    found = [
        one.path
        for one in scene.first.modules
        if one.is_leaf and one.output is not None and one.output.shape[-1:] == (classes,)
    ]
    return found[-1] if found else None
