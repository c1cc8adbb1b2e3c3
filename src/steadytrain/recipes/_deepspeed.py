"""A recipe as DeepSpeed's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from steadytrain.core.errors import UsageError

if TYPE_CHECKING:
    from steadytrain.recipes._settings import OptimizerSettings, ScheduleSettings
    from steadytrain.recipes.plan import Recipe

_CLASSES: Final = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD"}


def deepspeed_config(recipe: Recipe, *, schedule: bool = True) -> dict[str, Any]:
    """What `deepspeed.initialize(config=...)` takes: every value a literal.

    `"auto"` is filled in by Hugging Face's Trainer alone, and mixed with literals it hides which
    of the two is used; so there is none. Precision stands in one place: `torch.autocast` around
    the forward pass on top of it would be a second. The norms, biases and embeddings that are
    not decayed are groups of parameters: hand `optim.parameter_groups(model, ...)` over as
    `model_parameters`.

    Args:
        recipe: what to translate.
        schedule: False leaves the schedule out. DeepSpeed's own takes its first step at rate
            zero and is one step late; hand `LambdaLR(optimizer, recipe.schedule.function())`
            over as `lr_scheduler` instead to have it exactly.

    Raises:
        UsageError: DeepSpeed has no such schedule, or trains one network only.
    """
    if recipe.critic is not None:
        msg = f"recipe {recipe.name!r} has two optimizers, a DeepSpeed engine has one"
        raise UsageError(f"{msg}: make an engine per network, each from a recipe of its own.")
    clip = 0.0 if recipe.clip.name == "none" else recipe.clip.max_norm
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": recipe.microbatch_size,
        "gradient_accumulation_steps": recipe.accumulate,
        "gradient_clipping": clip,
        "optimizer": {
            "type": _CLASSES[recipe.optimizer.name],
            "params": _optimizer(recipe.optimizer),
        },
        "bf16": {"enabled": recipe.precision == "bf16"},
        "fp16": {"enabled": recipe.precision == "fp16"},
    }
    if schedule:
        config["scheduler"] = _scheduler(recipe.schedule, recipe.optimizer.lr)
    return config


def _optimizer(settings: OptimizerSettings) -> dict[str, Any]:
    options = {name: list(v) if isinstance(v, tuple) else v for name, v in settings.options.items()}
    # DeepSpeed turns Adam into AdamW unless it is told which of the two is meant
    mode = {"adam_w_mode": False} if settings.name == "adam" else {}
    return {"lr": settings.lr, "weight_decay": settings.weight_decay, **options, **mode}


def _scheduler(settings: ScheduleSettings, lr: float) -> dict[str, Any]:
    """The one of DeepSpeed's own schedules that has this shape."""
    warmup = {"warmup_num_steps": max(1, settings.warmup_steps), "warmup_type": "linear"}
    first = 1.0 / (settings.warmup_steps + 1)
    ramp = warmup | {"warmup_min_lr": lr * first, "warmup_max_lr": lr}
    total = {"total_num_steps": settings.total_steps}
    match settings.name:
        case "cosine":
            cosine = {"warmup_min_ratio": first, "cos_min_ratio": settings.min_ratio}
            return {"type": "WarmupCosineLR", "params": total | warmup | cosine}
        case "linear" if settings.min_ratio == 0.0:
            # it decays to where it began, so that must be 0, and costs the first two steps
            return {"type": "WarmupDecayLR", "params": total | ramp | {"warmup_min_lr": 0.0}}
        case "constant":
            return {"type": "WarmupLR", "params": ramp}
        case _:
            msg = f"DeepSpeed has no schedule {settings.name!r} that ends at {settings.min_ratio:g}"
            raise UsageError(
                f"{msg} of the peak, expected cosine, constant, or linear to 0: use "
                "to_deepspeed(schedule=False) and hand a LambdaLR over as lr_scheduler."
            )
