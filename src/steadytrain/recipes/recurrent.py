"""The recipe for recurrent networks."""

from __future__ import annotations

from steadytrain.recipes._settings import ClipSettings, OptimizerSettings
from steadytrain.recipes._starting import adaptive_rate, chosen_norm, warmed_up
from steadytrain.recipes.plan import Recipe


def rnn(*, total_steps: int = 10_000, batch_size: int = 64, accumulate: int = 1) -> Recipe:
    """The recipe for LSTM, GRU and plain recurrent networks: orthogonal, and always clipped.

    In fp32: a rounding error is multiplied by the recurrent matrix at every time step.

    Args:
        total_steps: optimizer steps of the whole run; the schedule ends there.
        batch_size: sequences per optimizer step on one device; the rate follows it.
        accumulate: microbatches per step.

    Raises:
        UsageError: a number cannot be what it is for.

    Source: Pascanu et al. 2013 (clipping by norm), Saxe et al. 2014 (orthogonal matrices),
        Ba et al. 2016 (layer normalisation), Karpathy 2015 (char-rnn: 2e-3 at batch 50).

    Example:
        >>> from steadytrain import recipes
        >>> print(recipes.rnn().clip)
        robust, from norm 1
    """
    norm, norm_reason = chosen_norm("rnn", batch_size, accumulate)
    return Recipe(
        name="rnn",
        initialisation="orthogonal",
        norm=norm,
        optimizer=OptimizerSettings(lr=adaptive_rate(2e-3, 50, batch_size)),
        schedule=warmed_up("cosine", total_steps, share=0.02, min_ratio=0.1),
        batch_size=batch_size,
        clip=ClipSettings(name="robust", max_norm=1.0),
        accumulate=accumulate,
        why={
            "initialisation": "a recurrent matrix with every singular value 1 neither shrinks nor "
            "multiplies the state (Saxe et al. 2014)",
            "norm": norm_reason,
            "optimizer": "2e-3 at batch 50 (Karpathy 2015), by the root of the batch size",
            "schedule": "short: the gates need no long one",
            "clip": "one time step more multiplies the gradient again (Pascanu et al. 2013)",
            "precision": "errors are multiplied at every time step",
        },
        notes=(
            "Detach the state between pieces of a long sequence, or memory grows with it.",
            "Divide by the number of tokens, not of sequences, where lengths differ.",
        ),
    )
