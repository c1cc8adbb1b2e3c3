"""All records of the experiment, and which of them keep within the band."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.lab.signal.one_start import StartRecord

LOW, HIGH = 0.5, 2.0
"""The band that a second moment may change within from one end to the other."""

Ratio = Callable[[StartRecord], float]


def forward(record: StartRecord) -> float:
    """The signal's change."""
    return record.forward_ratio


def backward(record: StartRecord) -> float:
    """The gradient's change."""
    return record.backward_ratio


RATIOS: Final[dict[str, Ratio]] = {"signal": forward, "gradient": backward}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Starts:
    """The records by activation and way, one per seed."""

    records: dict[tuple[str, str], list[StartRecord]]

    @classmethod
    def of(cls, records: Iterable[StartRecord]) -> Starts:
        """The records in groups, in the order they come in."""
        grouped: dict[tuple[str, str], list[StartRecord]] = {}
        for record in records:
            grouped.setdefault((record.job.activation, record.job.way), []).append(record)
        return cls(records=grouped)

    @property
    def activations(self) -> list[str]:
        return list(dict.fromkeys(activation for activation, _ in self.records))

    @property
    def ways(self) -> list[str]:
        return list(dict.fromkeys(way for _, way in self.records))

    @property
    def num_seeds(self) -> int:
        return len(next(iter(self.records.values())))

    def values(self, activation: str, way: str, ratio: Ratio) -> list[float]:
        """The ratio of every seed."""
        return [ratio(record) for record in self.records[activation, way]]

    def num_within(self, activation: str, way: str, ratio: Ratio) -> int:
        """Seeds whose ratio is within the band; one that is not finite is not."""
        return sum(LOW <= value <= HIGH for value in self.values(activation, way, ratio))

    def always_within(self, activations: Sequence[str], way: str, *ratios: Ratio) -> bool:
        """Whether every seed of every activation is within the band."""
        return all(
            self.num_within(activation, way, ratio) == self.num_seeds
            for activation in activations
            for ratio in ratios
        )

    def span(self, activation: str, way: str, ratio: Ratio) -> str:
        """Smallest to largest over the seeds."""
        values = self.values(activation, way, ratio)
        low, high = float(np.min(values)), float(np.max(values))
        return f"{low:.2g}" if f"{low:.2g}" == f"{high:.2g}" else f"{low:.2g} to {high:.2g}"
