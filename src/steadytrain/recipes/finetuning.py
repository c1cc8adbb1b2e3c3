"""The recipe for a pretrained model."""

from __future__ import annotations

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings
from steadytrain.recipes._starting import PrecisionChoice, chosen_precision, warmed_up
from steadytrain.recipes.plan import Recipe


def finetune(
    *,
    total_steps: int = 1_000,
    batch_size: int = 32,
    lr: float = 2e-5,
    accumulate: int = 1,
    precision: PrecisionChoice = "auto",
) -> Recipe:
    """The recipe for weights that were trained before: they stay, and small steps follow.

    Args:
        total_steps: optimizer steps of the whole run; the schedule ends there.
        batch_size: items per optimizer step on one device.
        lr: peak rate; 2e-5 is of language models, convolutional ones take about 1e-4.
        accumulate: microbatches per step.
        precision: `"auto"` takes bf16 where the device has it.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: Devlin et al. 2019 (2e-5 to 5e-5, linear to 0), Mosbach et al. 2021 (On the Stability
        of Fine-tuning BERT: warm-up over a tenth, bias correction).

    Example:
        >>> from steadytrain import recipes
        >>> recipes.finetune().initialisation is None
        True
    """
    chosen, reason = chosen_precision(precision)
    return Recipe(
        name="finetune",
        initialisation=None,
        norm="as it was trained",
        optimizer=OptimizerSettings(lr=lr, weight_decay=0.01),
        schedule=warmed_up("linear", total_steps, share=0.1),
        batch_size=batch_size,
        clip=ClipSettings(name="robust", max_norm=1.0),
        precision=chosen,
        accumulate=accumulate,
        why={
            "initialisation": "what was learned is in the weights",
            "norm": "another one would not fit the weights",
            "optimizer": "small steps from a good place (Devlin et al. 2019)",
            "schedule": "a new head sends large gradients first (Mosbach et al. 2021)",
            "clip": "norm 1 until the run's own level is known",
            "precision": reason,
        },
        notes=(
            "A new head may take ten times the rate: give it a group of its own.",
            "Keep batch norms in eval mode where the batches are small: model.eval() on them.",
        ),
    )
