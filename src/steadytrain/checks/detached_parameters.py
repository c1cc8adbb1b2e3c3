"""A part of the model changes the loss and gets no gradient.

## What it does
Finds the parameters that an optimizer holds and backward never reaches in some steps of the
program's own, changes them on a copy, and looks whether the loss of the first step changes with
them.

## Why it matters
The layers behind a `.detach()`, `.data`, `.item()`, numpy round trip or `no_grad` keep their random
weights.

## Passes when
Every held parameter is reached, or those that are not have no influence on the loss: experts that
nobody called, heads that nobody uses.

## Fails when
The loss depends on a parameter that wants a gradient, is in an optimizer, and gets none.

## What to do
Keep tensors in the graph between the layer and the loss; detach only what is logged. What is to
stand still is said with `requires_grad_(False)`.

## Source
Braiek & Khomh 2023 (TheDeepChecker), untrained parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from steadytrain.checks._holdings import holdings_of
from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Severity

_MOST = 12
"""Layers that are tried; further ones are taken to be like them."""


@check(code="LOP256", causes=("detached-graph", "frozen-params"), stage="loop")
@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedParameters:
    """Options of the check."""

    min_change: float = 1e-5
    """Relative change of the loss that shows that it depends on a parameter."""

    def judge(self, scene: Scene, /) -> Answer:
        steps = scene.once(steps_of)
        holdings = holdings_of(scene.program)
        wanted = {
            holdings.names[key]
            for key in holdings.held
            if key in holdings.names and holdings.parameters[key].requires_grad
        }
        missed = [p.name for p in steps.paths if p.name in wanted and not p.num_arrived]
        if not missed:
            return passed(self, f"backward reaches all {len(wanted)} parameters", 0)
        cut = self._that_matter(scene, missed)
        seen = f"{len(missed)} of {len(wanted)} parameters get no gradient, {len(cut)} matter"
        if not cut:
            return passed(self, seen, 0)
        return failed(
            self,
            seen,
            len(cut),
            findings=[
                finding(
                    self,
                    f"The loss depends on {listed(cut)}, and backward never reaches them in "
                    f"{steps.num_calls} steps: something between them and the loss leaves the graph. "
                    "Look for .detach(), .data, .item(), numpy or no_grad after them.",
                    severity=Severity.CRITICAL,
                    site=cut[-1],
                    evidence={"parameters": cut[-8:], "num_parameters": len(cut)},
                )
            ],
        )

    def _that_matter(self, scene: Scene, missed: list[str]) -> list[str]:
        """Those of the parameters whose layer changes the loss when it is changed."""
        layers = list(dict.fromkeys(name.rpartition(".")[0] for name in missed))
        plain = _loss(scene, ())
        cut: list[str] = []
        for layer in layers[:_MOST]:
            own = [name for name in missed if name.rpartition(".")[0] == layer]
            change = abs(_loss(scene, own) - plain)
            if change > self.min_change * max(abs(plain), 1e-12):
                cut += own
        return cut


def _loss(scene: Scene, changed: Iterable[str]) -> float:
    """The first step's loss with these parameters changed; the same random numbers each time."""
    with scene.trial() as trial:
        own = dict(trial.model.named_parameters())
        generator = torch.Generator().manual_seed(scene.seed)
        with torch.no_grad():
            for name in changed:
                noise = torch.randn(own[name].shape, generator=generator).to(own[name])
                own[name].add_(noise * max(0.1, float(own[name].float().square().mean().sqrt())))
        try:
            loss = trial.step(scene.batch())
        except Exception as error:  # the user's step may raise anything
            raise Unseen(f"the step raised {type(error).__name__}: {error}") from error
    if not math.isfinite(loss):
        raise Unseen(f"the loss of the first step is {loss}")
    return loss
