"""Graphs of earlier steps are kept, and there are more of them after every step.

## What it does
Takes some steps of the program's own on a copy and counts after every second one the autograd nodes
that any living tensor leads to.

## Why it matters
Each graph keeps the activations of its forward pass: memory grows until there is none left, and a
state that is carried with its graph makes every backward longer.

## Passes when
The count stays, or settles.

## Fails when
It grows from each count to the next, by as much at the end as at the beginning.

## What to do
Keep `loss.item()` or `loss.detach()`, not the loss; detach what is carried from batch to batch;
take out `retain_graph=True`.

## Source
PyTorch's FAQ, "My model reports out of memory": history accumulated across the training loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import COUNTED, steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity


@check(code="LOP254", causes=("graph-retained",), stage="loop")
@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRetained:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        steps = scene.once(steps_of)
        nodes = steps.nodes
        if len(nodes) < len(COUNTED):
            return not_applicable(self, f"{steps.num_calls} steps are too few to see growth")
        growth = [later - before for before, later in pairwise(nodes)]
        seen = f"{nodes[0]} nodes after step {COUNTED[0] + 1}, {nodes[-1]} after {COUNTED[-1] + 1}"
        if not (min(growth) > 0 and growth[-1] >= growth[0] / 2):
            return passed(self, seen, nodes[-1] - nodes[0])
        per_step = sum(growth) / (COUNTED[-1] - COUNTED[0])
        return failed(
            self,
            seen,
            nodes[-1] - nodes[0],
            findings=[
                finding(
                    self,
                    f"After every step {per_step:.3g} more autograd nodes are alive ({seen}): graphs "
                    "are kept. Keep numbers or detached tensors instead.",
                    severity=Severity.CRITICAL,
                    evidence={"nodes": nodes, "nodes_per_step": per_step},
                )
            ],
        )
