"""What the checks and trainings say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from steadytrain.lab.width.networks import MAXIMAL, STANDARD
from steadytrain.lab.width.one_run import WidthRecord

LIMIT = 2.0
"""Growth from the first width to the last up to which a size counts as flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All records of the experiment, and what is asked of them."""

    checks: tuple[WidthRecord, ...]
    trainings: tuple[WidthRecord, ...]
    widths: tuple[int, ...]

    @property
    def settings(self) -> list[tuple[str, str]]:
        """Network and optimizer of each check."""
        pairs = [(one.job.network, one.job.optimizer) for one in self.checks]
        return list(dict.fromkeys(pairs))

    @property
    def seeds(self) -> list[int]:
        return sorted({one.job.seed for one in self.checks})

    @property
    def rates(self) -> list[float]:
        return sorted({one.job.rate for one in self.trainings})

    def of(self, setting: tuple[str, str], parametrization: str) -> list[WidthRecord]:
        """The checks of one network and optimizer, by seed."""
        return [
            one
            for one in self.checks
            if (one.job.network, one.job.optimizer) == setting
            and one.job.parametrization == parametrization
        ]

    def worst_growth(self, setting: tuple[str, str], parametrization: str) -> list[float]:
        """Per seed, the growth of the site that grows most; infinite where one is not finite."""
        return [
            max(growth if math.isfinite(growth) else math.inf for growth in one.growth.values())
            for one in self.of(setting, parametrization)
        ]

    def size(self, setting: tuple[str, str], parametrization: str, site: str) -> list[float | None]:
        """The site's size after the last step by width: geometric mean over the seeds."""
        records = self.of(setting, parametrization)
        return [
            geometric_mean([one.sizes[site][place] for one in records])
            for place in range(len(self.widths))
        ]

    def sites(self, setting: tuple[str, str]) -> list[str]:
        return list(self.of(setting, STANDARD)[0].sizes)

    def losses(self, parametrization: str, width: int, rate: float) -> list[float | None]:
        """The loss of each seed; None where it diverged."""
        return [
            one.loss
            for one in self.trainings
            if one.job.parametrization == parametrization
            and one.job.widths[-1] == width
            and one.job.rate == rate
        ]

    def mean_loss(self, parametrization: str, width: int, rate: float) -> float | None:
        """The mean over the seeds; None if any diverged."""
        losses = [one for one in self.losses(parametrization, width, rate) if one is not None]
        whole = len(losses) == len(self.losses(parametrization, width, rate)) > 0
        return sum(losses) / len(losses) if whole else None

    def best_rate(self, parametrization: str, width: int) -> float:
        """The rate with the lowest mean loss."""
        return min(self.rates, key=lambda rate: self._sorted_by(parametrization, width, rate))

    def regret(self, parametrization: str) -> float:
        """How much higher the widest network's loss is at the narrowest's best rate, as a share."""
        width, rate = self.widths[-1], self.best_rate(parametrization, self.widths[0])
        own = self._sorted_by(parametrization, width, self.best_rate(parametrization, width))
        carried = self._sorted_by(parametrization, width, rate)
        return carried / own - 1 if math.isfinite(carried) else math.inf

    def _sorted_by(self, parametrization: str, width: int, rate: float) -> float:
        mean = self.mean_loss(parametrization, width, rate)
        return math.inf if mean is None else mean

    @classmethod
    def of_records(cls, records: Sequence[WidthRecord]) -> Findings:
        """The findings of all jobs of the experiment."""
        checks = tuple(one for one in records if not one.job.trains)
        return cls(
            checks=checks,
            trainings=tuple(one for one in records if one.job.trains),
            widths=checks[0].job.widths,
        )


def geometric_mean(values: Sequence[float]) -> float | None:
    """None where a value is not a finite number above zero."""
    if not all(math.isfinite(one) and one > 0 for one in values):
        return None
    return math.exp(sum(map(math.log, values)) / len(values))


PAIR = (STANDARD, MAXIMAL)
