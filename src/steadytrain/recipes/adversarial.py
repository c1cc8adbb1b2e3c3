"""The recipe for a generator against a critic."""

from __future__ import annotations

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings
from steadytrain.recipes._starting import warmed_up
from steadytrain.recipes.plan import Recipe

BETAS = (0.0, 0.9)
"""No momentum against an adversary that moves: Zhang et al. 2019 (SAGAN), section 4."""


def gan(*, total_steps: int = 10_000, batch_size: int = 64, accumulate: int = 1) -> Recipe:
    """The recipe for two networks in turns: a bounded critic at four times the rate.

    `optimizer` is the generator's, `critic` the critic's. In fp32, because the gradient penalty
    differentiates twice.

    Args:
        total_steps: steps of the generator.
        batch_size: items per step on one device.
        accumulate: microbatches per step.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: Heusel et al. 2017 (two time scales), Miyato et al. 2018 (spectral norm), Gulrajani
        et al. 2017 (gradient penalty, weight 10), Zhang et al. 2019 (1e-4 and 4e-4, betas 0 and
        0.9).

    Example:
        >>> from steadytrain import recipes
        >>> plan = recipes.gan()
        >>> plan.critic.lr / plan.optimizer.lr
        4.0
    """
    return Recipe(
        name="gan",
        initialisation="orthogonal",
        norm="spectral in the critic, never batch: a penalty per sample needs samples apart",
        optimizer=OptimizerSettings(name="adam", lr=1e-4, betas=BETAS),
        critic=OptimizerSettings(name="adam", lr=4e-4, betas=BETAS),
        schedule=warmed_up("constant", total_steps, share=0.0),
        batch_size=batch_size,
        clip=ClipSettings(name="robust", max_norm=10.0),
        accumulate=accumulate,
        losses={"gradient_penalty": 10.0},
        blocks=("gradient_penalty", "sigma_reparam"),
        why={
            "initialisation": "singular values 1 suit a spectral norm (Brock et al. 2019)",
            "norm": "bounds the critic, so the generator keeps a gradient (Miyato et al. 2018)",
            "optimizer": "no momentum against a moving adversary (Zhang et al. 2019)",
            "critic": "faster than the generator, instead of several steps (Heusel et al. 2017)",
            "schedule": "there is no minimum to decay towards",
            "clip": "far above the usual: it is for spikes only",
            "precision": "the gradient penalty differentiates twice",
            "losses": "of a Wasserstein critic (Gulrajani et al. 2017)",
        },
        notes=(
            "Judge a moving average of the generator's weights, not the newest weights.",
            "With a spectral norm in every layer of the critic the penalty may be left out.",
        ),
    )
