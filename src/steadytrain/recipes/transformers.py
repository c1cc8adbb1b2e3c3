"""The recipe for transformers on tokens."""

from __future__ import annotations

from dataclasses import replace

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings, check_count
from steadytrain.recipes._starting import PrecisionChoice, chosen_norm, chosen_precision, warmed_up
from steadytrain.recipes.plan import Recipe

DEFAULT_WIDTH = 512

MAX_LR = 1e-2
"""No published transformer takes more with AdamW, however narrow."""


def transformer(
    *,
    total_steps: int = 10_000,
    batch_size: int = 64,
    width: int = DEFAULT_WIDTH,
    scale_free: bool = True,
    accumulate: int = 1,
    precision: PrecisionChoice = "auto",
) -> Recipe:
    """The recipe for language models and other transformers on tokens: one that forgives a rate.

    With scale-free weights the loss hardly depends on the rate over three decades (the lab
    experiment `lr-sensitivity` measures it beside the plain recipe). They are stored otherwise,
    so a checkpoint of the plain model does not load into it, and tied weights cannot be.

    Args:
        total_steps: optimizer steps of the whole run; the schedule ends there.
        batch_size: sequences per optimizer step on one device.
        width: size of the residual stream; the rate of plain weights falls with it.
        scale_free: whether weights are directions; False is the recipe of plain weights.
        accumulate: microbatches per step.
        precision: `"auto"` takes bf16 where the device has it.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: the lab experiment `lr-sensitivity`; Wortsman et al. 2024 (normalised queries and
        keys, z-loss, warm-up 5%). Plain weights: Brown et al. 2020 (GPT-3, table 2.1: rate times
        width is near 0.4 from 125M to 175B parameters), Nguyen & Salazar 2019 (initialisation).

    Example:
        >>> from steadytrain import recipes
        >>> plan = recipes.transformer()
        >>> plan.optimizer.lr, plan.optimizer.eps, plan.stored_rms, plan.vector_ratio
        (0.01, 1e-12, 0.005, 0.3)
        >>> round(recipes.transformer(width=2048, scale_free=False).optimizer.lr, 6)
        0.000195
    """
    check_count("width", width, remedy="the size of the residual stream")
    chosen, reason = chosen_precision(precision)
    norm, norm_reason = chosen_norm("transformer", batch_size, accumulate)
    plain = Recipe(
        name="transformer",
        initialisation="small",
        norm=norm,
        optimizer=OptimizerSettings(
            lr=min(0.4 / width, MAX_LR), betas=(0.9, 0.95), weight_decay=0.1
        ),
        schedule=warmed_up("cosine", total_steps, share=0.05),
        batch_size=batch_size,
        clip=ClipSettings(name="robust", max_norm=1.0),
        precision=chosen,
        accumulate=accumulate,
        losses={"z_loss": 1e-4},
        blocks=("RMSNorm", "QKNorm", "soft_cap", "z_loss", "safe_attention"),
        why={
            "initialisation": "the deviation follows the width (Nguyen & Salazar 2019)",
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
    return _directional(plain) if scale_free else plain


def _directional(plain: Recipe) -> Recipe:
    """The recipe with weights that are directions; each setting as the lab measured it."""
    return replace(
        plain,
        initialisation="lecun",
        norm="rms norm, before and after each branch (sandwich)",
        optimizer=replace(plain.optimizer, lr=1e-2, eps=1e-12, weight_decay=0.0),
        stored_rms=0.005,
        vector_ratio=0.3,
        losses={},
        blocks=("scale_free", "NormPlacement", "RMSNorm", "QKNorm", "soft_cap", "safe_attention"),
        why={
            **{name: text for name, text in plain.why.items() if name != "losses"},
            "initialisation": "only the direction counts, so each layer begins at unit scale",
            "norm": "what a branch adds stays bounded whatever the rate",
            "optimizer": "any rate from 1e-3 to 1e-1 does; long weights have small gradients",
            "stored_rms": "every step lengthens a weight, so too high a rate lowers itself",
            "vector_ratio": "gains and biases have a length that a high rate walks away",
            "blocks": "QKNorm with gains from 1.5 bounds the scores, soft_cap(15) the outputs",
        },
        notes=(
            *plain.notes,
            "Decay would only raise the rate of a scale-free weight: there is none.",
            "A zero weight has no direction: leave zero-initialised outputs out.",
        ),
    )
