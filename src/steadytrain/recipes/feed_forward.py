"""The recipe for plain and residual multilayer perceptrons."""

from __future__ import annotations

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings
from steadytrain.recipes._starting import (
    PrecisionChoice,
    adaptive_rate,
    chosen_norm,
    chosen_precision,
    warmed_up,
)
from steadytrain.recipes.plan import Recipe


def mlp(
    *,
    total_steps: int = 10_000,
    batch_size: int = 128,
    accumulate: int = 1,
    precision: PrecisionChoice = "auto",
) -> Recipe:
    """The recipe for fully connected networks: the gain of each activation, and residual blocks.

    Args:
        total_steps: optimizer steps of the whole run; the schedule ends there.
        batch_size: items per optimizer step on one device; the rate follows it.
        accumulate: microbatches per step.
        precision: `"auto"` takes bf16 where the device has it.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: Poole et al. 2016 and Schoenholz et al. 2017 (gain by the activation), Kingma &
        Ba 2015 (1e-3 at batch 128), He et al. 2016 (identity shortcuts).

    Example:
        >>> from steadytrain import recipes
        >>> recipes.mlp(batch_size=128).optimizer.lr
        0.001
    """
    chosen, reason = chosen_precision(precision)
    norm, norm_reason = chosen_norm("mlp", batch_size, accumulate)
    return Recipe(
        name="mlp",
        initialisation="auto",
        norm=norm,
        optimizer=OptimizerSettings(lr=adaptive_rate(1e-3, 128, batch_size), weight_decay=0.01),
        schedule=warmed_up("cosine", total_steps, share=0.05),
        batch_size=batch_size,
        clip=ClipSettings(name="robust", max_norm=1.0),
        precision=chosen,
        accumulate=accumulate,
        blocks=("PreNormMLP", "StableMLP"),
        why={
            "initialisation": "each activation has a gain of its own (Schoenholz et al. 2017)",
            "norm": norm_reason,
            "optimizer": "1e-3 at batch 128 (Kingma & Ba 2015), by the root of the batch size",
            "schedule": "the first steps know nothing of the gradients' scale",
            "clip": "norm 1 until the run's own level is known",
            "precision": reason,
        },
        notes=("Standardise the features; more than 20 plain layers want residual blocks.",),
    )
