"""Attention looks at one place only, because its logits are too large.

## What it sees
In a module that computes attention, logits of dozens in magnitude, and an entropy that is a small
part of the largest one possible, at several looks in a row. A sharp head with moderate logits, and
large logits that still spread, are something else.

## Why it matters
The softmax is then a choice without a gradient: what a query attends to can no longer be learned,
and in half precision the logits go on to overflow.

## Fires on
    attention_logit_max@a 51x3
    attention_entropy@a 0.049x3

## Stays silent on
    attention_logit_max@a 49x3
    attention_entropy@a 0.049x3

    attention_logit_max@a 51x3
    attention_entropy@a 0.051x3

## What to do
Divide by the root of the head's width; normalise queries and keys; lower the rate or warm up, since
growing logits are how too high a rate shows in transformers.

## Source
Zhai et al. 2023 (entropy collapse); Wortsman et al. 2023 and Dehghani et al. 2023 see divergence
where logits pass 50.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named, number
from steadytrain.rules._looks import REACH, Look, lasting


@rule(
    code="ACT004",
    causes=("attention-logits-too-large", "lr-too-high", "init-too-large"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCollapse:
    """Options of the rule."""

    max_logit: float = 50.0
    """Magnitude that an attention logit may reach."""
    min_entropy: float = 0.05
    """Share of the largest entropy that attention must keep."""

    def __post_init__(self) -> None:
        if not (self.max_logit > 0 and 0 < self.min_entropy < 1):
            msg = f"max_logit must be above 0 and min_entropy in 0..1, got {self.max_logit} and"
            raise ValueError(f"{msg} {self.min_entropy}. Try 50 and 0.05.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        large = lasting(history, "attention_logit_max", 3, lambda rows: rows > self.max_logit)
        narrow = {
            look.step: look.hit
            for look in lasting(
                history, "attention_entropy", 3, lambda rows: rows < self.min_entropy
            )
        }
        for look in large:
            hit = look.hit & narrow.get(look.step, np.zeros_like(look.hit))
            if hit.any():
                yield self._finding(history, Look(step=look.step, values=look.values, hit=hit))

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("attention_logit_max")
        site = look.worst
        entropy = float(history.between("attention_entropy", look.step, look.step + 1)[0, site])
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            site=names[site],
            message=f"Attention at {names[site]} has logits up to {number(look.values[site])} and {entropy:.0%} "
            f"of its largest entropy ({extent(look.hit, look.measured, 'modules')} above "
            f"{number(self.max_logit)} and below {self.min_entropy:.0%}): each query sees one key. Scale by the "
            "root of the width, normalise queries and keys, or lower the rate.",
            evidence={
                "logit": look.values[site],
                "entropy": entropy,
                "modules": named(names, look.hit),
            },
        )
