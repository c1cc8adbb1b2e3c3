"""The recipe for transformers on tokens."""

from __future__ import annotations

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings, check_count
from steadytrain.recipes._starting import PrecisionChoice, chosen_norm, chosen_precision, warmed_up
from steadytrain.recipes.plan import Recipe

MAX_LR = 1e-2
"""No published transformer takes more with AdamW, however narrow."""


def transformer(
    *,
    total_steps: int = 10_000,
    batch_size: int = 64,
    width: int = 512,
    accumulate: int = 1,
    precision: PrecisionChoice = "auto",
) -> Recipe:
    """The recipe for language models and other transformers on tokens.

    Args:
        total_steps: optimizer steps of the whole run; the schedule ends there.
        batch_size: sequences per optimizer step on one device.
        width: size of the residual stream; the rate falls with it.
        accumulate: microbatches per step.
        precision: `"auto"` takes bf16 where the device has it.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: Brown et al. 2020 (GPT-3, table 2.1: rate times width is near 0.4 from 125M to 175B
        parameters), Wortsman et al. 2024 (normalised queries and keys, z-loss, warm-up 5%),
        Radford et al. 2019 (initialisation).

    Example:
        >>> from steadytrain import recipes
        >>> round(recipes.transformer(width=2048).optimizer.lr, 6)
        0.000195
    """
    check_count("width", width, remedy="the size of the residual stream")
    chosen, reason = chosen_precision(precision)
    norm, norm_reason = chosen_norm("transformer", batch_size, accumulate)
    return Recipe(
        name="transformer",
        initialisation="transformer",
        norm=norm,
        optimizer=OptimizerSettings(
            lr=min(0.4 / width, MAX_LR), betas=(0.9, 0.95), weight_decay=0.1
        ),
        schedule=warmed_up("cosine", total_steps, share=0.05, min_ratio=0.1),
        batch_size=batch_size,
        clip=ClipSettings(name="robust", max_norm=1.0),
        precision=chosen,
        accumulate=accumulate,
        losses={"z_loss": 1e-4},
        blocks=("RMSNorm", "QKNorm", "soft_cap", "z_loss", "safe_attention"),
        why={
            "initialisation": "residual projections shrink with depth (Radford et al. 2019)",
            "norm": norm_reason,
            "optimizer": f"0.4 / width {width} (Brown et al. 2020), a second moment that forgets",
            "schedule": "5% warm-up (Wortsman et al. 2024)",
            "clip": "norm 1 until the run's own level is known",
            "precision": reason,
            "losses": "keeps the output logits from drifting (Chowdhery et al. 2022)",
            "blocks": "bound the attention scores (Wortsman et al. 2024)",
        },
        notes=("Count tokens, not sequences, when gradients are accumulated.",),
    )
