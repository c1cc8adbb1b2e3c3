"""The model trains in evaluation mode.

## What it does
Takes some steps of the program's own on a copy and notes in which mode dropout and batch norm run
while a gradient is wanted.

## Why it matters
Dropout is off, and batch norm uses running statistics that nothing fills: a network with norms
trains without them.

## Passes when
The model is in training mode at the start of every step. Single modules in evaluation mode are
somebody's decision: frozen norms, teachers.

## Fails when
The model as a whole is in evaluation mode while a dropout or batch norm of its own runs with
gradients.

## What to do
`model.train()` before the loop, and after every evaluation.

## Source
PyTorch's documentation of `nn.Module.eval`; `from_pretrained` returns models in this mode.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="LOP255", causes=("eval-mode-in-training",), stage="loop")
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInEvaluationMode:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        steps = scene.once(steps_of)
        wanted = [mode for mode in steps.modes if mode.with_grad]
        if not wanted:
            return not_applicable(self, "no dropout and no batch norm ran with gradients")
        resting = {call for call, on in enumerate(steps.root_training) if not on}
        asleep = [mode for mode in wanted if not mode.training and mode.call in resting]
        num_steps = len({mode.call for mode in asleep})
        seen = f"evaluation mode in {num_steps} of {steps.num_calls} steps"
        if not asleep:
            return passed(self, seen, 0)
        paths = list(dict.fromkeys(mode.path for mode in asleep))
        return failed(
            self,
            seen,
            num_steps,
            findings=[
                finding(
                    self,
                    f"The model trains in evaluation mode in {num_steps} of {steps.num_calls} steps, "
                    f"and {listed(paths)} with it. Call model.train() before the loop and after "
                    "every evaluation.",
                    evidence={"paths": paths[:8], "num_steps": num_steps},
                )
            ],
        )
