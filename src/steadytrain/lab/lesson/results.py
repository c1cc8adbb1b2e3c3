"""The records of the comparison, and the questions that can be asked of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.lab.intervals import Interval, difference, interval
from steadytrain.lab.lesson.one_run import Floats, RunRecord
from steadytrain.lab.lesson.recipes import RECIPES

CONVERGED_SHARE: Final = 0.25
"""A run converges when its final loss is at most this share of the loss of guessing, ln(classes)."""

Quantity = Callable[[RunRecord], float]

CORRECTED: Final = tuple(name for name in RECIPES if name != "all tricks, as written")
"""The lesson's four configurations without the defects of its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Every record, by configuration; the records of one list differ in the seed alone."""

    main: dict[str, list[RunRecord]]
    breaking: dict[tuple[str, float], list[RunRecord]]
    factors: tuple[float, ...]

    @classmethod
    def of(
        cls,
        main: Sequence[RunRecord],
        breaking: Sequence[RunRecord],
        factors: tuple[float, ...],
    ) -> Results:
        """The records sorted by configuration; the main runs stand in for a missing factor 1.

        Every factor has the same seeds, so that differences can be paired.
        """
        by_recipe = {name: [r for r in main if r.job.recipe == name] for name in RECIPES}
        seeds = {record.job.seed for record in breaking}
        by_factor: dict[tuple[str, float], list[RunRecord]] = {
            (name, 1.0): [record for record in records if record.job.seed in seeds]
            for name, records in by_recipe.items()
        }
        for key in {(r.job.recipe, r.job.rate_factor) for r in breaking}:
            by_factor[key] = [r for r in breaking if (r.job.recipe, r.job.rate_factor) == key]
        return cls(main=by_recipe, breaking=by_factor, factors=factors)

    @property
    def num_seeds(self) -> int:
        """Runs per configuration."""
        return len(next(iter(self.main.values())))

    def values(self, recipe: str, quantity: Quantity) -> list[float]:
        """`quantity` of each seed's main run."""
        return [quantity(record) for record in self.main[recipe]]

    def mean(self, recipe: str, quantity: Quantity) -> Interval | None:
        """Mean over the seeds, or None where a run has no finite value."""
        values = self.values(recipe, quantity)
        return interval(values) if np.isfinite(values).all() else None

    def gap(self, first: str, second: str, quantity: Quantity) -> Interval | None:
        """Mean of `first - second` over the seeds, or None where one has no finite value."""
        pair = self.values(first, quantity), self.values(second, quantity)
        return difference(*pair) if np.isfinite(pair).all() else None

    def gap_of(self, recipe: str, first: Quantity, second: Quantity) -> Interval | None:
        """Mean of `first - second` in the same runs, or None where one has no finite value."""
        pair = self.values(recipe, first), self.values(recipe, second)
        return difference(*pair) if np.isfinite(pair).all() else None

    def ranking(self, quantity: Quantity, recipes: Sequence[str] = CORRECTED) -> list[str]:
        """`recipes` from the smallest mean of `quantity` to the largest, the non-finite last."""

        def place(recipe: str) -> float:
            mean = self.mean(recipe, quantity)
            return math.inf if mean is None else mean.mean

        return sorted(recipes, key=place)

    def break_losses(self, recipe: str, factor: float) -> list[float] | None:
        """Final losses of the break test, or None where a seed did not come to its end."""
        records = self.breaking[recipe, factor]
        losses = [record.final_loss for record in records if record.is_complete]
        return losses if len(losses) == len(records) else None

    def best_factor(self, recipe: str) -> float | None:
        """The factor on the rate with the lowest mean final loss, of those every seed survived."""
        means = {
            factor: sum(losses) / len(losses)
            for factor in self.factors
            if (losses := self.break_losses(recipe, factor))
        }
        return min(means, key=means.__getitem__, default=None)

    def num_converged(self, recipe: str, factor: float) -> int:
        """Seeds whose run of the break test converged."""
        return sum(converged(record) for record in self.breaking[recipe, factor])

    def safety_margin(self, recipe: str) -> float | None:
        """The largest factor up to which every seed converges at every factor tried."""
        margin = None
        for factor in self.factors:
            if self.num_converged(recipe, factor) < len(self.breaking[recipe, factor]):
                return margin
            margin = factor
        return margin


def converged(record: RunRecord) -> bool:
    """Whether the run stayed finite and ended well below the loss of guessing."""
    limit = CONVERGED_SHARE * math.log(record.num_classes)
    return record.is_complete and record.final_loss <= limit


def log_spread(norms: Floats) -> float:
    """Standard deviation of ln(norm) over the run: trend and noise together."""
    logs = _logs(norms)
    return float(logs.std()) if len(logs) else math.nan


def log_jitter(norms: Floats) -> float:
    """The noise alone: standard deviation of ln(norm) from step to step, over the root of 2."""
    logs = _logs(norms)
    return float(np.diff(logs).std() / math.sqrt(2)) if len(logs) > 1 else math.nan


def tail_ratio(norms: Floats) -> float:
    """95th percentile over median."""
    median = float(np.median(norms))
    return float(np.percentile(norms, 95)) / median if median > 0 else math.nan


def first_epoch_loss(record: RunRecord) -> float:
    """Mean training loss over the first epoch."""
    return record.first_epoch_loss


def final_loss(record: RunRecord) -> float:
    """Mean training loss over the run's last part."""
    return record.final_loss


def validation_loss(record: RunRecord) -> float:
    """Loss on the test images after the run."""
    return record.validation_loss


def accuracy_percent(record: RunRecord) -> float:
    """Accuracy on the test images after the run."""
    return 100 * record.validation_accuracy


def spread_before(record: RunRecord) -> float:
    """Spread of the gradient norm before clipping."""
    return log_spread(record.grad_norms)


def spread_after(record: RunRecord) -> float:
    """Spread of the gradient norm after clipping, as the lesson logs it."""
    return log_spread(record.grad_norms_clipped)


def jitter_before(record: RunRecord) -> float:
    """Step-to-step spread of the gradient norm before clipping."""
    return log_jitter(record.grad_norms)


def tail_before(record: RunRecord) -> float:
    """95th percentile over median of the norm before clipping."""
    return tail_ratio(record.grad_norms)


def tail_after(record: RunRecord) -> float:
    """95th percentile over median of the norm after clipping."""
    return tail_ratio(record.grad_norms_clipped)


def clipped_percent(record: RunRecord) -> float:
    """Steps whose norm before clipping was above 1, the lesson's threshold."""
    return 100 * float((~(record.grad_norms <= 1.0)).mean())


def _logs(norms: Floats) -> Floats:
    return np.log(norms[np.isfinite(norms) & (norms > 0)])
