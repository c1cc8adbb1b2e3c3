"""Gradients are clipped after the optimizer has used them.

## What it sees
A clip behind the step, with no backward pass between them and no other step after it.

## Why it matters
The clip changes nothing: the step was taken with the gradient as it was.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

## What to do
Clip between the backward pass and the step. A clip before the backward pass is as idle.

## Source
PyTorch documentation, `torch.nn.utils.clip_grad_norm_`.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event, Loop

_USES = ("step", "backward", "unknown", "grad", "zero")


@lint_check(code="OPT101", causes=("missing-grad-clip", "step-order"), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where a clip comes too late, or before there is a gradient."""
    for _, loop, events in code.loops:
        for event in events:
            if event.kind == "clip" and event.loop is loop and not _accumulates(loop, events):
                late = _is_late(event, events)
                if late or _is_early(event, events):
                    when = "after the step" if late else "before the backward pass"
                    yield Remark(
                        node=event.node,
                        message=f"Gradients are clipped {when}, where it changes nothing. Clip "
                        "between the backward pass and the step.",
                    )


def _neighbours(clip: Event, events: list[Event]) -> tuple[Event | None, Event | None]:
    """What used gradients last before the clip, and what does next."""
    around = [e for e in events if e.kind in _USES and e.meets(clip)]
    before = [event for event in around if event.place < clip.place]
    after = [event for event in around if event.place > clip.place]
    return (before[-1] if before else None), (after[0] if after else None)


def _is_late(clip: Event, events: list[Event]) -> bool:
    last, following = _neighbours(clip, events)
    if last is None or last.kind not in ("step", "zero") or last.owner:
        return False
    stepped = last.kind == "step" or any(e.kind == "step" and e.place < last.place for e in events)
    done = following is None or following.kind == "zero"
    return (
        stepped
        and done
        and not any(
            e.kind in ("step", "backward", "unknown") and e.place > clip.place and e.meets(clip)
            for e in events
        )
    )


def _is_early(clip: Event, events: list[Event]) -> bool:
    """Behind a clearing and before the backward pass there is no gradient to clip."""
    last, following = _neighbours(clip, events)
    cleared = last is not None and last.kind == "zero"
    return cleared and following is not None and following.kind == "backward"


def _accumulates(loop: Loop, events: list[Event]) -> bool:
    """Whether gradients live on over the end of the pass, so that the clip may be for the next."""
    return not any(e.kind == "zero" and e.path <= loop.path for e in events)
