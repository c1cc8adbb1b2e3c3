"""A recipe as Hugging Face's `TrainingArguments`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from steadytrain.core.errors import UsageError

if TYPE_CHECKING:
    from steadytrain.recipes._settings import OptimizerSettings, ScheduleSettings
    from steadytrain.recipes.plan import Recipe

_OPTIMIZERS: Final = {"adamw": "adamw_torch", "sgd": "sgd"}


def training_arguments(recipe: Recipe) -> dict[str, Any]:
    """What `TrainingArguments(output_dir=..., **arguments)` takes.

    The Trainer's own schedules warm up from rate zero (but for the cosine, which is told where
    to begin), and its own groups go by the names of parameters: hand
    `optimizers=(optimizer, scheduler)`, as `stabilise` returns them, to the Trainer to have both
    exactly. Its log replaces a NaN loss by the running mean unless it is told not to; it is.

    Args:
        recipe: what to translate.

    Raises:
        UsageError: the Trainer has no such optimizer or schedule, or trains one network only.
    """
    if recipe.critic is not None:
        msg = f"recipe {recipe.name!r} has two optimizers, the Trainer has one"
        raise UsageError(f"{msg}: write the loop yourself, or use Lightning's manual optimization.")
    return {
        "max_steps": recipe.schedule.total_steps,
        "per_device_train_batch_size": recipe.microbatch_size,
        "gradient_accumulation_steps": recipe.accumulate,
        "max_grad_norm": 0.0 if recipe.clip.name == "none" else recipe.clip.max_norm,
        "bf16": recipe.precision == "bf16",
        "fp16": recipe.precision == "fp16",
        "logging_nan_inf_filter": False,
        **_optimizer(recipe.optimizer),
        **_schedule(recipe.schedule),
        **_smoothing(recipe),
    }


def _optimizer(settings: OptimizerSettings) -> dict[str, Any]:
    if settings.name not in _OPTIMIZERS:
        msg = f"the Trainer has no optimizer {settings.name!r}, expected adamw or sgd"
        raise UsageError(f"{msg}: replace the recipe's, or hand optimizers=(optimizer, None) over.")
    arguments: dict[str, Any] = {
        "optim": _OPTIMIZERS[settings.name],
        "learning_rate": settings.lr,
        "weight_decay": settings.weight_decay,
    }
    if settings.name == "sgd":
        own = f"momentum={settings.momentum:g},nesterov={settings.momentum > 0.0}"
        return arguments | {"optim_args": own}
    beta1, beta2 = settings.betas
    return arguments | {"adam_beta1": beta1, "adam_beta2": beta2, "adam_epsilon": settings.eps}


def _schedule(settings: ScheduleSettings) -> dict[str, Any]:
    """The one of the Trainer's schedules that has this shape."""
    warmup = {"warmup_steps": settings.warmup_steps}
    match settings.name:
        case "cosine":
            # theirs counts the peak among the warm-up, and begins at rate 0 unless it is told
            start = {"warmup_lr_rate": 1.0 / (settings.warmup_steps + 1)}
            own = {"min_lr_rate": settings.min_ratio, **start}
            counted = {"warmup_steps": settings.warmup_steps + 1}
            return counted | _named("cosine_warmup_with_min_lr", own)
        case "constant":
            return warmup | _named("constant_with_warmup", {})
        case "linear" if settings.min_ratio == 0.0:
            return warmup | _named("linear", {})
        case _:
            decay_steps = settings.total_steps - settings.warmup_steps
            if settings.name == "stable-decay":
                decay_steps = getattr(settings.function(), "decay_steps", decay_steps)
            decay = "linear" if settings.name == "linear" else "1-sqrt"
            own = {"min_lr_ratio": settings.min_ratio, "decay_type": decay}
            return warmup | _named("warmup_stable_decay", own | {"num_decay_steps": decay_steps})


def _named(name: str, own: dict[str, Any]) -> dict[str, Any]:
    return {"lr_scheduler_type": name} | ({"lr_scheduler_kwargs": own} if own else {})


def _smoothing(recipe: Recipe) -> dict[str, Any]:
    """The one extra loss term that the Trainer knows."""
    weight = recipe.losses.get("label_smoothing")
    return {} if weight is None else {"label_smoothing_factor": weight}
