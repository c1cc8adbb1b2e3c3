"""Making the loss smaller makes the predictions better.

## What it does
Reads the sign with which each loss function enters the program's loss (its derivative), where the
program has one optimizer; and, where log-probabilities are picked by hand, whether the loss rises
with the probability of what is picked.

## Why it matters
A minus too many and the optimizer makes the network as wrong as it can: the loss falls without
bound, which looks like progress.

## Passes when
Some loss function enters with a positive sign, and none with targets of the batch with a negative one.

## Fails when
All enter with a negative one, one whose targets are a tensor of the batch does, or the loss grows with the log-probability of every target.

## What to do
Remove the minus, or add the one that is missing: `-log_probability.mean()`.

## Source
TheDeepChecker (Ben Braiek & Khomh 2023), wrong loss sign; the chain rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from steadytrain.checks._functions import LOSSES
from steadytrain.checks._losses import target_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call, tensors_in
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Severity

_MEANT_BOTH_WAYS: Final = ("kl_div",)
"""May be a bonus as well as a penalty."""


@check(code="LOS207", causes=("loss-sign",), stage="outputs")
@dataclass(frozen=True, slots=True, kw_only=True)
class LossDirection:
    """The loss is minimised, not maximised."""

    min_picked: int = 8
    """Log-probabilities picked by hand from which their sign is judged."""

    def judge(self, scene: Scene, /) -> Answer:
        if len(scene.optimizers) > 1:
            raise Unseen("several optimizers: one may maximise what the other minimises")
        calls = scene.first.calls
        signs = {call.name: _sign(call) for call in calls if _is_of_outputs(call)}
        known = {name: sign for name, sign in signs.items() if sign}
        if known:
            shown = ", ".join(f"{'+' if sign > 0 else '-'}{name}" for name, sign in known.items())
            if any(sign > 0 for sign in known.values()):
                return self._of_one_term(scene, shown)
            return self._failed(f"{', '.join(known)} enters the loss with a minus", shown)
        picked = [one for call in calls if (one := self._picked(call)) is not None]
        if not picked:
            raise Unseen("no loss function or picked log-probability was seen")
        if all(picked):
            text = "the loss grows with the log-probability of every target"
            return self._failed(text, "+log_softmax")
        return passed(self, "-log_softmax", -1.0)

    def _of_one_term(self, scene: Scene, shown: str) -> Answer:
        """Some term is minimised: is another, with targets of the data, maximised?"""
        wrong = [one for one in scene.first.calls if _is_of_outputs(one) and _sign(one) < 0]
        labelled = [one for one in wrong if _has_targets_of(scene, one)]
        if not labelled:
            return passed(self, shown, 1.0)
        name = labelled[0].name
        said = finding(
            self,
            f"The term {name} enters the loss with a minus, and its targets are those of the data: "
            "where the loss falls, this prediction gets worse. Add the term instead of subtracting it.",
            severity=Severity.WARNING,
            evidence={"term": name},
        )
        return failed(self, f"-{name} beside {shown}", -1.0, findings=[said])

    def _picked(self, call: Call) -> bool | None:
        """Whether the loss rises with each picked log-probability; None where that is not seen.

        Picked are one per row, all with the same weight: an average over targets.
        """
        gradient = call.gradient
        if call.name != "log_softmax" or gradient is None or gradient.dim() < 2:
            return None
        rows = gradient.flatten(0, -2)
        chosen = rows != 0
        used = rows[chosen]
        if int(chosen.sum(dim=-1).max()) != 1 or used.numel() < self.min_picked:
            return None
        if not torch.allclose(used, used[:1].expand_as(used), rtol=1e-3, atol=0.0):
            return None
        return bool(used[0] > 0)

    def _failed(self, text: str, shown: str) -> Answer:
        said = finding(
            self,
            f"Where the loss falls, the predictions get worse: {text} (derivative below 0), expected "
            "the other sign. Remove the minus, or add the one that is missing.",
            severity=Severity.CRITICAL,
        )
        return failed(self, shown, -1.0, findings=[said])


def _has_targets_of(scene: Scene, call: Call) -> bool:
    """Whether the targets of a loss are a tensor of the batch, in any shape."""
    try:
        target = target_of(call).detach().flatten().double()
    except Unseen:
        return False
    leaves = [leaf for leaf in tensors_in(scene.batch()) if leaf.numel() == target.numel() > 1]
    return any(torch.equal(leaf.flatten().double().to(target.device), target) for leaf in leaves)


def _is_of_outputs(call: Call) -> bool:
    return (
        call.name in LOSSES
        and call.name not in _MEANT_BOTH_WAYS
        and call.input_needs_grad
        and call.gradient is not None
    )


def _sign(call: Call) -> int:
    """The sign of the derivative by the loss function's output; 0 where it has several."""
    gradient = call.gradient
    if gradient is None or not gradient.numel():
        return 0
    low, high = float(gradient.min()), float(gradient.max())
    return 1 if low >= 0 < high else -1 if high <= 0 > low else 0
