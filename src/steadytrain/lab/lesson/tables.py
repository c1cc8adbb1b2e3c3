"""The comparison as tables."""

from __future__ import annotations

import math

from steadytrain.core.experiment import Cell, Table
from steadytrain.lab.intervals import Interval
from steadytrain.lab.lesson.one_run import RunRecord
from steadytrain.lab.lesson.recipes import RECIPES
from steadytrain.lab.lesson.results import (
    CONVERGED_SHARE,
    Results,
    accuracy_percent,
    clipped_percent,
    final_loss,
    first_epoch_loss,
    jitter_before,
    spread_after,
    spread_before,
    tail_after,
    tail_before,
    validation_loss,
)


def tables(results: Results) -> tuple[Table, ...]:
    """Everything that was measured, most important first."""
    return (
        _outcomes(results),
        _gradient_spread(results),
        _break_test(results),
        _break_losses(results),
        _recipes(),
    )


def shown(value: Interval | None) -> Cell:
    """An interval as one cell; a word where a run has no finite value."""
    return "not finite" if value is None else value.text


def finite(value: float) -> float | None:
    """`value`, or None where it is no finite number: JSON has no NaN."""
    return value if math.isfinite(value) else None


def _outcomes(results: Results) -> Table:
    quantities = (first_epoch_loss, final_loss, validation_loss, accuracy_percent)
    rows = tuple(
        (recipe, *(shown(results.mean(recipe, quantity)) for quantity in quantities))
        for recipe in RECIPES
    )
    record = _any(results)
    return Table(
        title="Loss and accuracy",
        columns=(
            "configuration",
            "first-epoch loss",
            "final loss",
            "validation loss",
            "validation accuracy, %",
        ),
        rows=rows,
        note=f"Mean ± half of the 95% confidence interval (Student's t) over {results.num_seeds} "
        "seeds. Training "
        f"losses are means in training mode: over the first epoch, and over the last "
        f"{record.final_steps} of {record.num_steps} steps.",
    )


def _gradient_spread(results: Results) -> Table:
    quantities = (
        spread_before,
        spread_after,
        jitter_before,
        tail_before,
        tail_after,
        clipped_percent,
    )
    rows = tuple(
        (recipe, *(shown(results.mean(recipe, quantity)) for quantity in quantities))
        for recipe in RECIPES
    )
    return Table(
        title="Spread of the total gradient norm",
        columns=(
            "configuration",
            "log-sd before clipping",
            "log-sd after clipping",
            "step-to-step log-sd before",
            "p95 / median before",
            "p95 / median after",
            "steps with norm above 1, %",
        ),
        rows=rows,
        note=f"Over {results.num_seeds} seeds. The lesson logs norms after clipping: whatever was above 1 reads 1. Configurations "
        "that do not clip have the same norm before and after. The log-sd over a run contains "
        "the fall of the norm as the loss falls; the step-to-step one does not.",
    )


def _break_test(results: Results) -> Table:
    def row(recipe: str) -> tuple[Cell, ...]:
        counts = [
            f"{results.num_converged(recipe, factor)} of {len(results.breaking[recipe, factor])}"
            for factor in results.factors
        ]
        margin = results.safety_margin(recipe)
        return (recipe, *counts, "none" if margin is None else f"x{margin:g}")

    return Table(
        title="Break test: which learning rates still converge",
        columns=("configuration", *map(factor_name, results.factors), "safety margin"),
        rows=tuple(row(recipe) for recipe in RECIPES),
        note="Seeds that converge at a multiple of the configuration's own peak rate 0.001: every "
        f"loss finite and a final loss of at most {CONVERGED_SHARE:g} of guessing's, "
        "ln(classes). The safety margin is the largest factor up to which every seed converges.",
    )


def _break_losses(results: Results) -> Table:
    def cell(recipe: str, factor: float) -> Cell:
        records = results.breaking[recipe, factor]
        values = [record.final_loss for record in records if record.is_complete]
        lost = len(records) - len(values)
        if not values:
            return f"not finite in {lost} of {lost}"
        spread = f"{min(values):.3f} to {max(values):.3f}"
        return f"{spread}, not finite in {lost} of {len(records)}" if lost else spread

    return Table(
        title="Break test: final loss",
        columns=("configuration", *map(factor_name, results.factors)),
        rows=tuple(
            (recipe, *(cell(recipe, factor) for factor in results.factors)) for recipe in RECIPES
        ),
        note="Smallest to largest over the seeds.",
    )


def _recipes() -> Table:
    return Table(
        title="What the configurations are",
        columns=("configuration", "description"),
        rows=tuple((recipe.name, recipe.description) for recipe in RECIPES.values()),
        note="GroupNorm(1, C) shares its statistics with a layer norm over [C, H, W]; it is not "
        "the per-position layer norm that transformers use.",
    )


def factor_name(factor: float) -> str:
    """A factor on the learning rate as a person would write it."""
    return f"x{factor:g}"


def _any(results: Results) -> RunRecord:
    return next(iter(results.main.values()))[0]
