"""A clipping threshold so small that it rules every step.

## What it sees
`clip_grad_norm_` or `clip_grad_value_` with a number of 0.001 or less.

## Why it matters
Every gradient exceeds it: the length of the step is the threshold's, not the gradient's, and with
zero there is no step at all.

## Flagged
    import torch
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-4)

## Use instead
    import torch
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)

## What to do
Use the norm of ordinary steps, often 0.1 to 5; `steadytrain` records it for every step.

## Source
Pascanu, Mikolov and Bengio 2013, section 3.2: the threshold is set from the average norm.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

MIN_THRESHOLD = 0.001


@lint_check(code="OPT108", causes=("clip-too-tight",))
def check(code: Code) -> Iterator[Remark]:
    """Say where the clip decides alone."""
    for call, name in code.calls:
        if name in ("torch.nn.utils.clip_grad_norm_", "torch.nn.utils.clip_grad_value_"):
            word = "max_norm" if "norm" in name else "clip_value"
            threshold = code.number(code.keyword(call, word, 1))
            if threshold is not None and not threshold > MIN_THRESHOLD:
                yield Remark(
                    node=call,
                    message=f"A threshold of {threshold:g} clips every gradient, so it sets the length "
                    "of every step. Use the norm of ordinary steps, often 0.1 to 5.",
                )
