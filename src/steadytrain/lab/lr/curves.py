"""Loss over the learning rate, and the two numbers that say how much the rate matters.

Sensitivity (Wortsman et al. 2023, section 2): the mean over the rates of the final loss, a
diverged run counting as the loss at initialisation, minus the configuration's own lowest. A
configuration that is equally poor everywhere has none; therefore beside it the common-best
regret: the same mean minus the lowest loss that any configuration reached under the same seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steadytrain.lab.lr.one_run import RunRecord

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """The final losses of every configuration.

    Shape: each of `losses` and `diverged` is [seeds, rates].
    """

    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    losses: dict[str, Floats]
    diverged: dict[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, records: Sequence[RunRecord]) -> Curves:
        """The records of a full grid, by configuration."""
        by_job = {(r.job.arm, r.job.seed, r.job.rate): r for r in records}
        rates = tuple(sorted({rate for _, _, rate in by_job}))
        seeds = tuple(sorted({seed for _, seed, _ in by_job}))
        names = list(dict.fromkeys(record.job.arm for record in records))
        grids = {
            name: [[by_job[name, seed, rate] for rate in rates] for seed in seeds] for name in names
        }
        return cls(
            rates=rates,
            seeds=seeds,
            losses={n: np.array([[r.loss for r in row] for row in g]) for n, g in grids.items()},
            diverged={
                n: np.array([[r.has_diverged for r in row] for row in g]) for n, g in grids.items()
            },
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Every configuration, in the order of the runs."""
        return tuple(self.losses)

    def best(self, name: str) -> list[float]:
        """The lowest loss over the rates, per seed."""
        return self.losses[name].min(axis=1).tolist()

    def sensitivity(self, name: str) -> list[float]:
        """Mean loss over the rates minus the lowest, per seed."""
        losses = self.losses[name]
        return (losses.mean(axis=1) - losses.min(axis=1)).tolist()

    def regret(self, name: str) -> list[float]:
        """Mean loss over the rates minus the lowest of any configuration, per seed."""
        return (self.losses[name].mean(axis=1) - self._common_best).tolist()

    def num_diverged(self, name: str) -> int:
        """Runs that ended no better than they began."""
        return int(self.diverged[name].sum())

    def decades_within(self, name: str, tolerance: float) -> float:
        """Powers of ten between the rates whose mean loss is within `tolerance` of the lowest.

        The rates around the best one only: a second valley further off does not count.
        """
        means = self.losses[name].mean(axis=0)
        is_near = means <= means.min() + tolerance
        first = last = int(means.argmin())
        while first > 0 and is_near[first - 1]:
            first -= 1
        while last < len(means) - 1 and is_near[last + 1]:
            last += 1
        return float(np.log10(self.rates[last] / self.rates[first]))

    @property
    def _common_best(self) -> Floats:
        return np.min([losses.min(axis=1) for losses in self.losses.values()], axis=0)


def saved_share(value: Sequence[float], reference: Sequence[float]) -> list[float]:
    """How much lower `value` is than `reference`, as a share of it, seed by seed."""
    return [1 - own / other for own, other in zip(value, reference, strict=True)]
