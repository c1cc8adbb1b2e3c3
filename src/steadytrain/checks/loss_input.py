"""The losses that read log-probabilities or probabilities are given those.

## What it does
Looks whether the exponentials of what `nll_loss`, `kl_div` and `ctc_loss` are given add up to 1
over the classes, whether a `kl_div` target is a distribution in the form that `log_target` says, and
whether `poisson_nll_loss` without `log_input` is given rates that cannot be negative.

## Why it matters
`nll_loss` of logits rewards them for growing without bound: the loss turns negative and falls for
ever while nothing is learned. Of probabilities, its gradient dies where the network is wrong.

## Passes when
The exponentials of each row add up to 1.

## Fails when
They do not; the message says whether the rows look like logits, like probabilities, or like
log-probabilities over another dimension.

## What to do
`log_softmax(dim=1)` before `nll_loss` (or `cross_entropy` on the logits), `log_softmax` before
`kl_div` and `ctc_loss`.

## Source
PyTorch's documentation of NLLLoss, KLDivLoss and CTCLoss: "the input is expected to contain
log-probabilities".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._losses import class_dim, loss_calls, output_of, target_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, passed
from steadytrain.core.finding import Severity


@check(code="LOS203", causes=("loss-input-mismatch",), stage="outputs")
@dataclass(frozen=True, slots=True, kw_only=True)
class LossInput:
    """Log-probabilities reach the losses that read them."""

    max_sum_error: float = 0.05
    """How far the exponentials of a row may be from adding up to 1: bf16 keeps eight bits of a
    logarithm near 8, an error of 3% of the number."""

    def judge(self, scene: Scene, /) -> Answer:
        calls = loss_calls(scene, "nll_loss", "kl_div", "ctc_loss", "poisson_nll_loss")
        for call in calls:
            wrong = self._wrong(call)
            if wrong is not None:
                form, causes = wrong
                message = f"{call.name} is given {form}, where it expects {_expected(call)}. {_remedy(call)}"
                said = finding(self, message, severity=Severity.CRITICAL, causes=causes)
                return failed(self, f"{call.name} of {form}", findings=[said])
        return passed(self, f"{calls[0].name} of {_expected(calls[0])}")

    def _wrong(self, call: Call) -> tuple[str, tuple[str, ...]] | None:
        """What the loss is given instead, with the causes; None where all is well."""
        own = ("loss-input-mismatch",)
        output = output_of(call).float()
        if not output.numel():
            return None
        if call.name == "poisson_nll_loss":
            bad = call["log_input"] is False and bool((output < 0).any())
            return (f"rates down to {float(output.min()):.3g}", own) if bad else None
        dim = class_dim(output) if call.name == "nll_loss" else output.dim() - 1
        if call.name == "kl_div":
            return self._divergence(call, output, own)
        return (
            None if self._is_log(output, dim) else (self._form(output, dim), self._causes(output))
        )

    def _divergence(
        self, call: Call, output: Tensor, own: tuple[str, ...]
    ) -> tuple[str, tuple[str, ...]] | None:
        """Of a divergence only what cannot be meant: its terms may be any part of a table."""
        if self._are_probabilities(output, output.dim() - 1):
            return "rows that add up to 1: probabilities", own
        if bool((output > self.max_sum_error).any()):
            return f"numbers up to {float(output.max()):.3g}", own
        target = target_of(call).float()
        if not call["log_target"] and bool((target < 0).any()):
            return f"a target down to {float(target.min()):.3g} without log_target=True", own
        return None

    def _form(self, output: Tensor, dim: int) -> str:
        if self._are_probabilities(output, dim):
            return "rows that add up to 1: probabilities"
        if any(self._is_log(output, other) for other in range(output.dim()) if other != dim):
            return "log-probabilities that add up over another dimension than the classes"
        sums = output.double().logsumexp(dim=dim).exp()
        return f"rows whose exponentials add up to {float(sums.mean()):.3g}: logits"

    def _causes(self, output: Tensor) -> tuple[str, ...]:
        elsewhere = any(self._is_log(output, dim) for dim in range(output.dim()))
        return ("wrong-axis", "loss-input-mismatch") if elsewhere else ("loss-input-mismatch",)

    def _is_log(self, output: Tensor, dim: int) -> bool:
        sums = output.double().logsumexp(dim=dim)
        finite = sums[torch.isfinite(sums)]
        return bool((finite.expm1().abs() <= self.max_sum_error).all())

    def _are_probabilities(self, output: Tensor, dim: int) -> bool:
        sums = output.sum(dim=dim)
        return bool((output >= 0).all()) and bool(((sums - 1).abs() <= self.max_sum_error).all())


def _expected(call: Call) -> str:
    if call.name == "poisson_nll_loss":
        return "rates of at least 0, or log-rates" if call["log_input"] is False else "log-rates"
    return "log-probabilities"


def _remedy(call: Call) -> str:
    if call.name == "poisson_nll_loss":
        return "Set log_input=True, or end the network in a softplus."
    return "Put log_softmax over the classes before it, or use cross_entropy on the logits."
