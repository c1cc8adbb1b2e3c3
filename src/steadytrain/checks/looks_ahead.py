"""What is said of a position of a text does not depend on the positions after it.

## What it does
Where the targets are the next tokens of the input, replaces the second half of every text in the
input (not in the targets), and compares what every module gives at the positions before.

## Why it matters
A model that sees the token it is to predict learns to copy it: the loss falls to almost nothing,
and the model can write no text.

## Passes when
Nothing before the first replaced position changes.

## Fails when
A module's output changes there; the message names the first.

## What to do
Mask the attention (`is_causal=True`, or a mask of the lower triangle in the sense the function
reads it), pad convolutions on the left only, split heads by `transpose` and not by `view`.

## Source
Vaswani et al. 2017, section 3.2.3: masking so that predictions depend on earlier positions only;
Karpathy 2019, "use backprop to chart dependencies".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from steadytrain.checks._positions import later_replaced, next_token
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call, FirstStep, ModuleSeen, tensors_in
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Severity


@check(code="DAT202", causes=("target-leak", "wrong-axis"), stage="outputs")
@dataclass(frozen=True, slots=True, kw_only=True)
class LooksAhead:
    """No position of a text sees a later one."""

    max_change: float = 1e-4
    """Largest change at an earlier position, of its own size: the rounding of bf16 sums is equal
    in both passes, because the shapes are."""

    def judge(self, scene: Scene, /) -> Answer:
        text = next_token(scene)
        start = text.tokens.shape[1] // 2
        changed = later_replaced(text.tokens, start)
        before = scene.evaluated
        after = scene.look(evaluating=True, change=_replacing(text.tokens, changed))
        size, time = text.tokens.shape
        pairs = [
            (one, self._change(one.output_print, other.output_print, start))
            for one, other in zip(before.modules, after.modules, strict=False)
            if one.output is not None and one.output.shape[:2] == (size, time)
        ]
        if not pairs:
            raise Unseen("no module gives an output per position")
        at_end = pairs[0][1] if pairs[0][0].path == "" else pairs[-1][1]
        if at_end <= self.max_change:
            return passed(self, f"positions before {start} change by {at_end:.2g}", at_end)
        return self._failed(before, pairs, start, at_end)

    def _change(self, one: Tensor | None, other: Tensor | None, start: int) -> float:
        """The largest change before `start`, of the typical size of a number there."""
        if one is None or other is None or one.shape != other.shape:
            return 0.0
        early, later = one[:, :start], other[:, :start]
        typical = float(early.abs().mean())
        return float((early - later).abs().max()) / typical if typical > 0 else 0.0

    def _failed(
        self, seen: FirstStep, pairs: list[tuple[ModuleSeen, float]], start: int, change: float
    ) -> Answer:
        leaks = [one for one, size in pairs if size > self.max_change]
        site = _innermost_first(leaks).path or None
        is_masked = any(_masks(call) for call in seen.calls)
        causes = ("wrong-axis", "target-leak") if is_masked else ("target-leak", "wrong-axis")
        remedy = (
            "There is a causal mask, so look for a view, a transpose or a mean that mixes positions."
            if is_masked
            else "Mask the attention (is_causal=True), or pad convolutions on the left only."
        )
        said = finding(
            self,
            f"When the input is replaced from position {start} on, the output before it changes by "
            f"{change:.2g} of its size, expected 0: the model sees the tokens it is to predict"
            f"{f', first in {site}' if site else ''}. {remedy}",
            severity=Severity.CRITICAL,
            site=site,
            causes=causes,
            evidence={"change": change, "position": start},
        )
        return failed(
            self, f"positions before {start} change by {change:.2g}", change, findings=[said]
        )


def _innermost_first(leaks: list[ModuleSeen]) -> ModuleSeen:
    """The first module that leaks, and inside of it the first that does."""
    first = leaks[0]
    for one in leaks[1:]:
        if one.path.startswith(f"{first.path}." if first.path else ""):
            first = one
        else:
            break
    return first


def _masks(call: Call) -> bool:
    if call.name != "scaled_dot_product_attention":
        return False
    return bool(call["is_causal"]) or call["attn_mask"] is not None


def _replacing(tokens: Tensor, changed: Tensor) -> Any:
    """A change of arguments: the tensor that holds `tokens` is replaced."""

    def change(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = [one for one in tensors_in((args, kwargs)) if one.shape == tokens.shape]
        match = next((one for one in found if bool((one == tokens).all())), None)
        if match is None:
            return None

        def swapped(value: Any) -> Any:
            return changed.to(match.device) if value is match else value

        return tuple(swapped(one) for one in args), {k: swapped(v) for k, v in kwargs.items()}

    return change
