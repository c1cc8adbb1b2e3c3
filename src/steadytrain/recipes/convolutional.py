"""The recipe for convolutional networks."""

from __future__ import annotations

from typing import Literal

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings, check_name
from steadytrain.recipes._starting import (
    PrecisionChoice,
    adaptive_rate,
    chosen_norm,
    chosen_precision,
    sgd_rate,
    warmed_up,
)
from steadytrain.recipes.plan import Recipe


def cnn(
    *,
    total_steps: int = 10_000,
    batch_size: int = 128,
    optimizer: Literal["adamw", "sgd"] = "adamw",
    accumulate: int = 1,
    precision: PrecisionChoice = "auto",
) -> Recipe:
    """The recipe for images through convolutions: He's initialisation, a norm after each.

    Args:
        total_steps: optimizer steps of the whole run; the schedule ends there.
        batch_size: items per optimizer step on one device; the rate follows it.
        optimizer: `"adamw"`, or `"sgd"` with Nesterov's momentum.
        accumulate: microbatches per step; batch statistics see one microbatch only.
        precision: `"auto"` takes bf16 where the device has it.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: He et al. 2015 (initialisation, SGD), Goyal et al. 2017 (warm-up, linear scaling),
        Liu et al. 2022 (ConvNeXt: AdamW 4e-3 at batch 4096, decay 0.05).

    Example:
        >>> from steadytrain import recipes
        >>> recipes.cnn(batch_size=256, optimizer="sgd").optimizer.lr
        0.1
        >>> recipes.cnn(batch_size=4).norm
        'group norm, after each convolution'
    """
    check_name("optimizer", optimizer, ("adamw", "sgd"))
    chosen, reason = chosen_precision(precision)
    settings, rate_reason = _optimizer(optimizer, batch_size)
    norm, norm_reason = chosen_norm("cnn", batch_size, accumulate)
    return Recipe(
        name="cnn",
        initialisation="auto",
        norm=norm,
        optimizer=settings,
        schedule=warmed_up("cosine", total_steps, share=0.05),
        batch_size=batch_size,
        clip=ClipSettings(name="robust", max_norm=5.0),
        precision=chosen,
        accumulate=accumulate,
        blocks=("ConvNorm", "StableNet", "StochasticDepth"),
        why={
            "initialisation": "by the activations and the shortcuts (He et al. 2015, Zhang et al. 2019)",
            "norm": norm_reason,
            "optimizer": rate_reason,
            "schedule": "large steps first meet untrained batch statistics (Goyal et al. 2017)",
            "clip": "healthy convolutional gradients pass; rare spikes do not",
            "precision": reason,
        },
        notes=(
            "A convolution before a batch, group or instance norm needs no bias: bias=False.",
            "Batch statistics see one microbatch: accumulating does not make them better.",
        ),
    )


def _optimizer(name: Literal["adamw", "sgd"], batch_size: int) -> tuple[OptimizerSettings, str]:
    if name == "sgd":
        rate = sgd_rate(0.1, 256, batch_size)
        settings = OptimizerSettings(name="sgd", lr=rate, weight_decay=1e-4)
        return settings, "0.1 at batch 256, in proportion (Goyal et al. 2017)"
    rate = adaptive_rate(4e-3, 4096, batch_size)
    settings = OptimizerSettings(lr=rate, weight_decay=0.05)
    return settings, "4e-3 at batch 4096 (Liu et al. 2022), by the root of the batch size"
