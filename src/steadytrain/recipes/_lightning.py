"""A recipe as the arguments of Lightning's `Trainer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from steadytrain.recipes.plan import Recipe

_PRECISIONS: Final = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def trainer_arguments(recipe: Recipe) -> dict[str, Any]:
    """What `lightning.Trainer(**arguments)` takes.

    Precision is the Trainer's: `torch.autocast` inside `training_step` would be a second one.
    The optimizer and the schedule belong in `configure_optimizers`, with
    `"interval": "step"`, because Lightning steps a schedule once per epoch unless told.
    With two optimizers Lightning asks for manual optimization, and refuses to clip or to
    accumulate for you; it also counts every optimizer's step.

    Args:
        recipe: what to translate.
    """
    arguments: dict[str, Any] = {
        "max_steps": recipe.schedule.total_steps,
        "precision": _PRECISIONS[recipe.precision],
    }
    if recipe.critic is not None:
        return arguments | {"max_steps": 2 * recipe.schedule.total_steps}
    arguments["accumulate_grad_batches"] = recipe.accumulate
    if recipe.clip.name != "none":
        arguments["gradient_clip_val"] = recipe.clip.max_norm
        arguments["gradient_clip_algorithm"] = "norm"
    return arguments
