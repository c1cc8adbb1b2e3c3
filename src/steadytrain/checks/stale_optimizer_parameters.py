"""The optimizer holds tensors that the model no longer uses.

## What it does
Looks for tensors in the optimizers that belong to no module of the program, and for parameters of
the same shape that are in no optimizer in their place.

## Why it matters
A layer that was replaced, or a model that was copied or built anew, after the optimizer was made
gets gradients and is never stepped; the optimizer goes on moving what nobody reads.

## Passes when
Every tensor the optimizers hold belongs to the model, or to something in `extra`, or no trainable
parameter is missing beside it.

## Fails when
An optimizer holds a tensor that nothing owns, and a trainable parameter of the same shape is in no
optimizer.

## What to do
Replace layers, load weights and move the model first; build the optimizer last.

## Source
PyTorch's documentation of `torch.optim`: parameters after a replacement are other objects than
those the optimizer was given.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._holdings import holdings_of
from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, passed
from steadytrain.core.finding import Severity


@check(
    code="OPT251",
    causes=("stale-optimizer-params", "params-not-in-optimizer"),
    stage="optimizer",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class StaleOptimizerParameters:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        holdings = holdings_of(scene.program)
        strangers = holdings.strangers
        if not strangers:
            return passed(self, f"all {len(holdings.held)} tensors held belong to the program", 0)
        seen = f"{len(strangers)} of {len(holdings.held)} tensors held belong to nothing"
        replaced = [holdings.names[key] for key in holdings.replaced]
        if not replaced:
            return passed(self, f"{seen}, and no trainable parameter is missing", len(strangers))
        return failed(
            self,
            seen,
            len(strangers),
            findings=[
                finding(
                    self,
                    f"The optimizer holds {len(strangers)} tensors that are in no model, while "
                    f"{listed(replaced)} of the same shapes are in no optimizer: they were replaced "
                    "after it was built. Build the optimizer last.",
                    severity=Severity.CRITICAL,
                    site=replaced[0],
                    evidence={"num_strangers": len(strangers), "parameters": replaced[:8]},
                )
            ],
        )
