"""The model is evaluated in training mode, or left in evaluation mode by it.

## What it does
Calls `metric_fn` on a copy and notes in which mode dropout and batch norm run, and which mode the
model has afterwards; in some steps of the program's own, looks for forward passes without gradients
in training mode that come in some steps and not in others.

## Why it matters
In training mode the figure that is logged is that of another network than the one that is shipped,
and batch norm takes up the statistics of the validation data. A mode that is not put back stops
dropout and batch norm for the rest of the run.

## Passes when
Evaluation runs in evaluation mode and the mode is put back.

## Fails when
A dropout or batch norm runs in training mode without gradients while the metric is computed or in
some of the steps only, or the model is in another mode after the metric.

## What to do
`model.eval()` before, `model.train()` after.

## Source
PyTorch's documentation of `nn.Module.eval`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader

from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import ModeSeen, depends_on_mode, steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Finding


@check(
    code="LOP258",
    causes=("train-mode-in-eval", "eval-mode-in-training", "batchnorm-running-stats"),
    stage="loop",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingModeInEvaluation:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        if not any(depends_on_mode(module) for module in scene.model.modules()):
            return not_applicable(self, "no dropout and no batch norm")
        found = [*self._of_metric(scene), *self._of_steps(scene)]
        if not found:
            return passed(self, "evaluation runs in evaluation mode")
        return failed(self, f"{len(found)} evaluations are wrong", len(found), findings=found)

    def _of_metric(self, scene: Scene) -> list[Finding]:
        if scene.quick or scene.program.metric_fn is None or not scene.model.training:
            return []
        awake, stays = _modes_of_metric(scene)
        found: list[Finding] = []
        if awake:
            found.append(self._awake(awake, "while metric_fn computes the metric"))
        if not stays:
            found.append(
                finding(
                    self,
                    "After metric_fn the model is in evaluation mode, and training would go on in it. "
                    "Put back the mode that was found.",
                    causes=("eval-mode-in-training",),
                )
            )
        return found

    def _of_steps(self, scene: Scene) -> list[Finding]:
        if not scene.has_own_step:
            return []
        steps = scene.once(steps_of)
        blind = [mode for mode in steps.modes if mode.training and not mode.with_grad]
        calls = {mode.call for mode in blind}
        if not blind or len(calls) >= steps.num_calls - 1 or _is_sampling(blind):
            return []
        when = f"without gradients in {len(calls)} of {steps.num_calls} steps"
        return [self._awake(list(dict.fromkeys(mode.path for mode in blind)), when)]

    def _awake(self, paths: list[str], when: str) -> Finding:
        return finding(
            self,
            f"{listed(paths)} run in training mode {when}: call model.eval() before an evaluation and "
            "model.train() after it.",
            causes=("train-mode-in-eval", "batchnorm-running-stats"),
            evidence={"paths": paths[:8]},
        )


def _is_sampling(blind: list[ModeSeen]) -> bool:
    """Whether only dropouts run so, the first of them over and over on one input: drawn on purpose."""
    if any(mode.given is None for mode in blind):
        return False
    first = [(mode.call, mode.given) for mode in blind if mode.path == blind[0].path]
    return len(first) >= 2 * len(set(first))


def _modes_of_metric(scene: Scene) -> tuple[list[str], bool]:
    """Modules that run in training mode during the metric, and whether the mode is put back."""
    awake: list[str] = []
    with scene.trial() as trial:
        program = trial.program
        handles: list[Any] = []
        for path, module in trial.model.named_modules():
            if depends_on_mode(module):
                handles.append(module.register_forward_pre_hook(_noter(path, awake)))
        assert program.metric_fn is not None
        try:
            with torch.no_grad():
                program.metric_fn(program.model, _a_little(program.validation))
        except Exception as error:  # the user's metric may raise anything
            raise Unseen(f"metric_fn raised {type(error).__name__}: {error}") from error
        stays = bool(trial.model.training)
    return list(dict.fromkeys(awake)), stays


def _a_little(validation: Any) -> Any:
    """The first batches of a loader: the mode shows in one of them."""
    return list(islice(validation, 2)) if isinstance(validation, DataLoader) else validation


def _noter(path: str, awake: list[str]) -> Any:
    def note(module: Any, _inputs: Any) -> None:
        if module.training:
            awake.append(path)

    return note
