"""The recipe for policy gradients."""

from __future__ import annotations

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings
from steadytrain.recipes._starting import chosen_norm, warmed_up
from steadytrain.recipes.plan import Recipe


def rl(*, total_steps: int = 10_000, batch_size: int = 64, accumulate: int = 1) -> Recipe:
    """The recipe for proximal policy optimisation and its kin: small steps on changing data.

    Args:
        total_steps: optimizer steps of the whole run (not environment steps).
        batch_size: transitions per optimizer step.
        accumulate: microbatches per step.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: Schulman et al. 2017 (PPO: 3e-4, value weight 0.5, entropy 0.01), Andrychowicz et al.
        2021 (What Matters In On-Policy RL: small last policy layer), Huang et al. 2022 (epsilon
        1e-5, clip 0.5, rate to 0).

    Example:
        >>> from steadytrain import recipes
        >>> plan = recipes.rl(total_steps=100)
        >>> plan.optimizer.eps, plan.clip.max_norm
        (1e-05, 0.5)
    """
    norm, norm_reason = chosen_norm("rl", batch_size, accumulate)
    return Recipe(
        name="rl",
        initialisation="orthogonal",
        norm=norm,
        optimizer=OptimizerSettings(name="adam", lr=3e-4, eps=1e-5),
        schedule=warmed_up("linear", total_steps, share=0.0),
        batch_size=batch_size,
        clip=ClipSettings(name="norm", max_norm=0.5),
        accumulate=accumulate,
        losses={"value": 0.5, "entropy": 0.01},
        blocks=("normalize_advantages",),
        why={
            "initialisation": "singular values 1 in every layer (Huang et al. 2022)",
            "norm": norm_reason,
            "optimizer": "3e-4 (Schulman et al. 2017), epsilon 1e-5 (Huang et al. 2022)",
            "schedule": "to 0, so that late policies settle (Huang et al. 2022)",
            "clip": "a fixed bound: what is a typical gradient changes with the policy",
            "precision": "small networks gain nothing from less",
            "losses": "value and entropy terms beside the policy's (Schulman et al. 2017)",
        },
        notes=(
            "Scale the last layer of the policy by 0.01, so that actions begin alike (Andrychowicz et al. "
            "2021).",
            "Normalise observations and returns with running statistics.",
            "Normalise advantages per minibatch with normalize_advantages: it survives one "
            "sample and equal rewards.",
        ),
    )
