"""Parameters that should be trained are in no optimizer.

## What it does
Compares the parameters that want a gradient with what the program's optimizers hold, those in
`extra` included. It leaves out the ones that backward does not reach, and those in whose place an
optimizer holds another tensor of the same shape: `stale-optimizer-parameters` speaks of them.

## Why it matters
What no optimizer holds stays as it was initialised: the rest of the network learns to live with
random features, and the loss falls a little, so that nobody looks.

## Passes when
Every parameter that gets a gradient is held. An optimizer of the last layers alone passes too
where the layers before show traces of training, or none that could tell.

## Fails when
A parameter with a gradient is in no optimizer: one that comes after what is held, or before it
and still as PyTorch initialises it.

## What to do
Build the optimizer last, on `model.parameters()`; for several modules chain their parameters. What
is to stand still is said with `requires_grad_(False)`.

## Source
PyTorch's documentation of `torch.optim`: an optimizer holds the tensors it was given, and no
others.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from steadytrain.checks._holdings import Holdings, holdings_of
from steadytrain.checks._naming import listed
from steadytrain.checks._origin import origin_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Severity


@check(
    code="OPT250",
    causes=("params-not-in-optimizer", "stale-optimizer-params"),
    stage="optimizer",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ParametersNotInOptimizer:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        holdings = holdings_of(scene.program)
        left_out = _left_out(scene, holdings)
        total = sum(p.requires_grad for p in holdings.parameters.values())
        if not left_out:
            return passed(self, f"none of {total} trainable parameters is left out", 0)
        names = [holdings.names[key] for key in left_out]
        seen = f"{len(names)} of {total} trainable parameters are in no optimizer"
        if _is_head_alone(scene.model, holdings, left_out):
            return passed(self, f"{seen}, all of them before those that are", len(names))
        return failed(
            self,
            seen,
            len(names),
            findings=[
                finding(
                    self,
                    f"{listed(names)} get a gradient, and no optimizer holds them: they stay as they "
                    "are. Build the optimizer on all that is to be trained, after the model has its "
                    "last form.",
                    severity=Severity.CRITICAL,
                    site=names[0],
                    evidence={
                        "parameters": names[:8],
                        "num_left_out": len(names),
                        "num_trainable": total,
                    },
                )
            ],
        )


def _left_out(scene: Scene, holdings: Holdings) -> list[int]:
    """Parameters that backward reaches and that neither an optimizer nor a step of it moves."""
    replaced = set(holdings.replaced)
    missing = [key for key in holdings.missing if key not in replaced]
    if not missing:
        return []
    try:
        steps = scene.once(steps_of)
    except Unseen:
        reached = None
    else:
        if scene.has_own_step and steps.num_foreign:
            raise Unseen("step_fn steps an optimizer that is not in the program: put it into extra")
        moved = {name for name, did in steps.moved.items() if did}
        reached = {path.name for path in steps.paths if path.num_brought} - moved
    return [key for key in missing if reached is None or holdings.names[key] in reached]


def _is_head_alone(model: nn.Module, holdings: Holdings, left_out: list[int]) -> bool:
    """Whether the optimizer holds only what comes last, and the rest may have been trained."""
    order = {key: place for place, key in enumerate(holdings.parameters)}
    held = [order[key] for key in holdings.held if key in order]
    if not held or max(order[key] for key in left_out) > min(held):
        return False
    out = set(left_out)
    owners = [m for m in model.modules() if any(id(p) in out for p in m.parameters(recurse=False))]
    return origin_of(owners) != "fresh"
