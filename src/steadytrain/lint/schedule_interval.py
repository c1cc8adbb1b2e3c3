"""A learning-rate schedule is stepped at another interval than the one it counts.

## What it sees
A schedule that counts epochs (`T_max=epochs`, `StepLR`, `MultiStepLR` or `ExponentialLR` with
numbers for epochs; `ReduceLROnPlateau` with a patience of up to 20) stepped in the loop over batches;
or one whose length was computed in batches
(`OneCycleLR`, `len(loader) * epochs`) stepped once per epoch.

## Why it matters
Stepped per batch, a decay meant for months is over in minutes and training stands still; stepped per
epoch, a warm-up never ends.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)
    for epoch in range(90):
        for x, y in train_loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()
            scheduler.step()

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)
    for epoch in range(90):
        for x, y in train_loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()
        scheduler.step()

## What to do
Count in one unit: either move `scheduler.step()`, or give the schedule its numbers in the unit in
which it is stepped.

## Source
PyTorch documentation, `torch.optim.lr_scheduler`: each class says what one step is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event, Loop
from steadytrain.lint._code.scopes import FUNCTIONS
from steadytrain.lint._code.vocabulary import Kind

_BATCHES: Final = re.compile(r"len\(|steps|iter|batches|updates", re.IGNORECASE)
_EPOCHS: Final = re.compile(r"\b(self\.|args\.|cfg\.|config\.|opt\.|hparams\.)?(num_|n_|max_|total_)?epochs?\b",
                            re.IGNORECASE)  # fmt: skip
_LENGTHS: Final = ("T_max", "total_steps", "num_training_steps", "total_iters", "T_0", "step_size")
MAX_PATIENCE: Final = 20
"""Waits above this are rather batches than passes; PyTorch's default is 10 passes."""

MAX_EPOCHS: Final = 100
"""Step sizes above this are rather batches than epochs."""


@lint_check(code="OPT103", causes=("lr-schedule-wrong",))
def check(code: Code) -> Iterator[Remark]:
    """Say where a schedule counts another thing than it is stepped by."""
    for _, loop, events in code.loops:
        if isinstance(loop.node, FUNCTIONS):
            continue
        for event in events:
            if event.kind != "schedule" or event.loop is not loop:
                continue
            kind = _kind(code, event)
            if kind is None or kind.call is None or not isinstance(kind.call.expr, ast.Call):
                continue
            unit = _unit(code, kind, kind.call.expr)
            if unit == "epochs" and _is_batch_loop(loop, event, events):
                yield Remark(node=event.node, message=_PER_BATCH)
            elif unit == "batches" and _is_epoch_loop(loop, event, events):
                yield Remark(node=event.node, message=_PER_EPOCH)


_PER_BATCH = (
    "The schedule counts epochs but is stepped at every batch: it decays almost at once. Step it "
    "after the loop over batches."
)
_PER_EPOCH = (
    "The schedule counts batches but is stepped once per epoch: it hardly moves. Step it after "
    "every optimizer.step()."
)


def _kind(code: Code, event: Event) -> Kind | None:
    func = getattr(event.node, "func", None)
    if not isinstance(func, ast.Attribute):
        return None
    return code.kinds.of(func.value, event.frame)


def _unit(code: Code, kind: Kind, call: ast.Call) -> str | None:
    """What one step of the schedule is, as its arguments say."""
    name = kind.maker.rpartition(".")[2]
    if name == "ReduceLROnPlateau":
        return _patience(code, call)
    text = _lengths(code, kind, call)
    if name == "OneCycleLR":
        return "batches" if _BATCHES.search(text) or "steps_per_epoch" in text else None
    if _BATCHES.search(text):
        return "batches" if re.search(r"len\([^)]*load", text) else None
    if name in ("StepLR", "MultiStepLR"):
        return "epochs" if _has_small_number(code, call) else None
    if name == "ExponentialLR":
        gamma = code.number(code.keyword(call, "gamma", 1))
        return "epochs" if gamma is not None and gamma <= 0.99 else None
    return (
        "epochs"
        if _EPOCHS.search(text) and name in ("CosineAnnealingLR", "LinearLR", "PolynomialLR")
        else None
    )


def _patience(code: Code, call: ast.Call) -> str | None:
    """What a schedule waits for: passes, by default ten, unless its patience is long or says steps."""
    given = code.keyword(call, "patience", 3)
    if given is None:
        return "epochs"
    patience = code.number(given)
    if patience is not None:
        return "epochs" if patience <= MAX_PATIENCE else None
    return "epochs" if _EPOCHS.search(ast.unparse(given)) else None


def _lengths(code: Code, kind: Kind, call: ast.Call) -> str:
    """The arguments that say how long the schedule is, with names replaced by their values."""
    given = [
        w.value
        for w in call.keywords
        if w.arg in (*_LENGTHS, "epochs", "steps_per_epoch", "milestones")
    ]
    parts: list[str] = [w.arg for w in call.keywords if w.arg == "steps_per_epoch"]
    assert kind.call is not None
    for argument in [*call.args[1:], *given]:
        text = ast.unparse(argument)
        value = code.values.assigned(argument, kind.call.frame)
        parts.append(text if value is None else f"{text} {ast.unparse(value.expr)}")
    return " ".join(parts)


def _has_small_number(code: Code, call: ast.Call) -> bool:
    given = [
        *call.args[1:2],
        *(w.value for w in call.keywords if w.arg in ("step_size", "milestones")),
    ]
    numbers = [
        number
        for argument in given
        for node in ast.walk(argument)
        if isinstance(node, ast.expr) and (number := code.number(node)) is not None
    ]
    return bool(numbers) and max(numbers) <= MAX_EPOCHS


def _is_batch_loop(loop: Loop, event: Event, events: list[Event]) -> bool:
    """Whether the loop steps the optimizer at every pass and stands in a loop of epochs."""
    outer = loop.outer
    if outer is None or isinstance(outer.node, FUNCTIONS) or event.path - loop.path:
        return False
    return any(e.kind == "step" and e.loop is loop for e in events)


def _is_epoch_loop(loop: Loop, event: Event, events: list[Event]) -> bool:
    """Whether the optimizer steps only in a loop inside this one."""
    steps = [e for e in events if e.kind == "step"]
    return bool(steps) and all(e.loop is not loop for e in steps) and not event.path - loop.path
