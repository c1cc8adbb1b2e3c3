"""One term of the loss changes its sign or its weight; the others stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._losses import put_tracked_loss
from steadytrain.doctor.changes._observing import observed_terms
from steadytrain.doctor.changes._terms import Arithmetic
from steadytrain.doctor.scene import Scene

Weights = Sequence[float]


def flipped(program: Program, scene: Scene, *, place: int) -> Program | None:
    """The sign of one of several terms."""
    norms = observed_terms(program, scene)
    if not 1 < len(norms) <= 6 or place >= len(norms):
        return None
    return _weighted(program, [-1.0 if k == place else 1.0 for k in range(len(norms))])


def lighter(program: Program, scene: Scene) -> Program | None:
    """The term with the largest gradient weighs a tenth of the next one."""
    norms = observed_terms(program, scene)
    if not 1 < len(norms) <= 6:
        return None
    heavy = max(range(len(norms)), key=norms.__getitem__)
    others = max(norm for k, norm in enumerate(norms) if k != heavy)
    if not norms[heavy] > 2 * others > 0:
        return None
    factor = 0.1 * others / norms[heavy]
    return _weighted(program, [factor if k == heavy else 1.0 for k in range(len(norms))])


def light(program: Program, scene: Scene, *, place: int) -> Program | None:
    """One of several terms weighs a hundredth, and at most a tenth of the heaviest other one."""
    norms = observed_terms(program, scene)
    if not 1 < len(norms) <= 6 or place >= len(norms) or not norms[place] > 0:
        return None
    others = max(norm for k, norm in enumerate(norms) if k != place)
    factor = min(0.01, 0.1 * others / norms[place])
    return _weighted(program, [factor if k == place else 1.0 for k in range(len(norms))])


def limited(program: Program, scene: Scene) -> Program | None:
    """Every term begins with a gradient of norm 1 at the most."""
    norms = observed_terms(program, scene)
    if not norms or not max(norms) > 3.0:
        return None
    return _weighted(program, [1.0 / max(1.0, norm) for norm in norms])


def _weighted(program: Program, factors: Weights) -> Program | None:
    return put_tracked_loss(program, partial(_tracker, tuple(factors)))


def _tracker(factors: Weights) -> tuple[Any, Callable[[Tensor], Tensor]]:
    arithmetic = Arithmetic()

    def loss_of(loss: Tensor) -> Tensor:
        terms = arithmetic.terms(loss)
        if len(terms) != len(factors):
            return loss
        parts = [
            factor * weight * term.reshape(())
            for factor, (term, weight) in zip(factors, terms, strict=True)
        ]
        return torch.stack(parts).sum()

    return arithmetic.handlers(), loss_of


CHANGES = (
    *(
        change(
            f"flip-term-{place + 1}",
            __doc__,
            text=f"term {place + 1} of the loss with its other sign",
            size=3,
            apply=partial(flipped, place=place),
        )
        for place in range(3)
    ),
    *(
        change(
            f"lighter-term-{place + 1}",
            __doc__,
            text=f"term {place + 1} of the loss at a hundredth of its weight",
            size=1,
            apply=partial(light, place=place),
        )
        for place in range(3)
    ),
    change(
        "lighter-term",
        __doc__,
        text="the heaviest term of the loss at a tenth of the next",
        size=1,
        apply=lighter,
    ),
    change(
        "limit-terms",
        __doc__,
        text="every term of the loss scaled to a gradient of norm 1",
        size=1,
        apply=limited,
    ),
)
