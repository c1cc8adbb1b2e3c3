"""Backward brings gradients and no optimizer uses them.

## What it does
Takes some steps of the program's own on a copy, up to a whole pass over the data while nothing
moves, and asks of every parameter that got a gradient whether an optimizer ever used one.

## Why it matters
Without `step()` the weights stay as they are; cleared before it, gradients are gone when it comes.

## Passes when
Every parameter that gets gradients and is held by an optimizer is stepped.

## Fails when
No optimizer steps within a pass over the data, or gradients are thrown away unused in every step;
an optimizer finds no gradient though backward had brought one; one of several optimizers is never
stepped while its parameters get gradients.

## What to do
Clear, backward, clip, step: in this order, for each optimizer. Count accumulated microbatches over
the whole run, not within an epoch.

## Source
PyTorch's tutorial on optimising model parameters: zero_grad, backward, step.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._holdings import holdings_of, scalers_of
from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import Steps, steps_of
from steadytrain.checks._traffic import Path
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity

_SEARCHING = 11
"""Steps that a scaler may skip while it looks for its scale."""

_FEWEST = 4
"""Gradients a parameter must have got before it is called forgotten."""


@check(
    code="LOP251",
    causes=("missing-optimizer-step", "step-order", "loss-scale-collapse"),
    stage="loop",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerNeverSteps:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        steps = scene.once(steps_of)
        brought = [path for path in steps.paths if path.num_brought >= _FEWEST]
        if steps.num_foreign:
            return not_applicable(self, "step_fn steps an optimizer that is not in the program")
        skipped = [path for path in steps.paths if path.num_nonfinite > 0.9 * steps.num_calls]
        if scalers_of(scene.program) and skipped and steps.num_calls > _SEARCHING:
            return self._skipped(steps, skipped)
        if not brought:
            return not_applicable(self, f"no gradient seen in {steps.num_calls} steps")
        emptied = [path for path in brought if path.num_found_empty > path.num_used]
        if emptied:
            return self._emptied(emptied)
        if not steps.updates and not any(steps.moved.values()):
            return self._never(steps, brought)
        forgotten = _forgotten(scene, steps, brought)
        if forgotten:
            return self._forgotten(steps, forgotten)
        number = len(steps.updates)
        return passed(self, f"{number} optimizer steps in {steps.num_calls} steps", number)

    def _emptied(self, emptied: list[Path]) -> Answer:
        names, count = [path.name for path in emptied], emptied[0].num_found_empty
        message = (
            f"The optimizer found no gradient for {listed(names)} in {count} of its steps, though "
            "backward had brought one: it is cleared in between. Clear before backward or after "
            "step, never between the two."
        )
        return self._failed("cleared between backward and step", message, names, ("step-order",))

    def _never(self, steps: Steps, brought: list[Path]) -> Answer:
        thrown = any(path.num_thrown_away >= _FEWEST for path in brought)
        whole = steps.epoch is not None and steps.num_calls > steps.epoch
        seen = f"no optimizer step in {steps.num_calls} batches"
        if not thrown and not whole:
            return not_applicable(self, f"{seen}, and the pass has more")
        message = (
            f"In {steps.num_calls} batches backward ran and no optimizer stepped. Call "
            "optimizer.step() after backward; with accumulation, count over the whole run."
        )
        return self._failed(seen, message, [], ("missing-optimizer-step",))

    def _skipped(self, steps: Steps, skipped: list[Path]) -> Answer:
        name, count = skipped[0].name, steps.num_calls
        message = (
            f"The gradient of {name} is not finite in any of {count} steps, however small the loss "
            "scale: the scaler skips them all. Compute what leads to it in float32, with an epsilon "
            "that float16 can hold (above 6e-8)."
        )
        causes = ("loss-scale-collapse", "sqrt-zero-grad", "fp16-overflow")
        return self._failed(f"{count} steps skipped", message, [name], causes)

    def _forgotten(self, steps: Steps, forgotten: list[Path]) -> Answer:
        names = [path.name for path in forgotten]
        message = (
            f"{listed(names)} got {forgotten[0].num_brought} gradients in {steps.num_calls} steps, "
            "and the optimizer that holds them was never stepped. Step every optimizer after its "
            "own backward."
        )
        return self._failed(f"{len(names)} parameters are never stepped", message, names)

    def _failed(
        self, seen: str, message: str, names: list[str], causes: tuple[str, ...] = ()
    ) -> Answer:
        return failed(
            self,
            seen,
            findings=[
                finding(
                    self,
                    message,
                    severity=Severity.CRITICAL,
                    site=names[0] if names else None,
                    causes=causes or ("missing-optimizer-step", "params-not-in-optimizer"),
                    evidence={"parameters": names[:8]},
                )
            ],
        )


def _forgotten(scene: Scene, steps: Steps, brought: list[Path]) -> list[Path]:
    """Parameters of an optimizer none of whose parameters was ever used or moved."""
    holdings = holdings_of(scene.program)
    homes = {holdings.names[key]: places[0].optimizer for key, places in holdings.held.items() if key in holdings.names}  # fmt: skip
    alive = {homes.get(p.name) for p in steps.paths if p.num_used or steps.moved.get(p.name)}
    return [p for p in brought if p.name in homes and homes[p.name] not in alive]
