"""The recipe for vision transformers."""

from __future__ import annotations

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings, check_count
from steadytrain.recipes._starting import (
    PrecisionChoice,
    adaptive_rate,
    chosen_norm,
    chosen_precision,
    warmed_up,
)
from steadytrain.recipes.plan import Recipe
from steadytrain.recipes.transformers import MAX_LR


def vit(
    *,
    total_steps: int = 10_000,
    batch_size: int = 128,
    width: int = 384,
    accumulate: int = 1,
    precision: PrecisionChoice = "auto",
) -> Recipe:
    """The recipe for images through attention: pre-norm blocks, a longer warm-up, strong decay.

    Args:
        total_steps: optimizer steps of the whole run; the schedule ends there.
        batch_size: items per optimizer step on one device; the rate follows it.
        width: size of the residual stream; the rate falls with it.
        accumulate: microbatches per step.
        precision: `"auto"` takes bf16 where the device has it.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: Touvron et al. 2021 (DeiT-S: AdamW 1e-3 at batch 1024, decay 0.05), Yang et al. 2022
        (a rate over the width), Beyer et al. 2022
        (Better plain ViT baselines: 1e-3 at 1024, warm-up, clip 1), Dehghani et al. 2023
        (normalised queries and keys).

    Example:
        >>> from steadytrain import recipes
        >>> recipes.vit(batch_size=1024).optimizer.lr
        0.001
    """
    chosen, reason = chosen_precision(precision)
    check_count("width", width, remedy="the size of the residual stream")
    rate = min(adaptive_rate(1e-3, 1024, batch_size) * 384 / width, MAX_LR)
    norm, norm_reason = chosen_norm("vit", batch_size, accumulate)
    return Recipe(
        name="vit",
        initialisation="small",
        norm=norm,
        optimizer=OptimizerSettings(lr=rate, weight_decay=0.05),
        schedule=warmed_up("cosine", total_steps, share=0.1),
        batch_size=batch_size,
        clip=ClipSettings(name="robust", max_norm=1.0),
        precision=chosen,
        accumulate=accumulate,
        losses={"label_smoothing": 0.1},
        blocks=("NormPlacement", "qk_norm", "LayerScale", "StochasticDepth", "safe_attention"),
        why={
            "initialisation": "the deviation follows the width (Nguyen & Salazar 2019)",
            "norm": norm_reason,
            "optimizer": f"1e-3 at batch 1024 and width 384 (Touvron et al. 2021); here width {width}",
            "schedule": "a tenth of the run warms up (Beyer et al. 2022)",
            "clip": "norm 1 (Beyer et al. 2022) until the run's own level is known",
            "precision": reason,
            "losses": "label smoothing (Touvron et al. 2021)",
            "blocks": "normalised queries and keys bound the scores (Dehghani et al. 2023)",
        },
        notes=("Few images ask for strong augmentation; no setting here replaces it.",),
    )
