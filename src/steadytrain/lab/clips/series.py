"""Series of gradient norms with a known past: healthy noise, and a rise that stays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from steadytrain.lab.clips.handlers import ON_SERIES

Floats = NDArray[np.float64]

NOISES: Final[dict[str, Callable[[np.random.Generator, int], Floats]]] = {
    "log-normal": lambda rng, count: rng.standard_normal(count),
    "Laplace": lambda rng, count: rng.laplace(size=count) / math.sqrt(2.0),
    "Student's t, 3": lambda rng, count: rng.standard_t(3, count) / math.sqrt(3.0),
    "autocorrelated 0.9": lambda rng, count: _autocorrelated(rng, count, 0.9),
}
"""Noise of log ‖g‖ with unit variance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesJob:
    """One handler over one series."""

    handler: str
    noise: str = "log-normal"
    variation: float = 0.1
    """Standard deviation of the norm over its mean."""
    factor: float = 1.0
    """How much the norm rises, for good, after `before` steps."""
    seed: int
    before: int = 500
    after: int = 2000

    @property
    def name(self) -> str:
        noise = f"{self.noise} {self.variation:.0%}"
        return f"{self.handler}, norm x{self.factor:g}, {noise}, seed {self.seed}"

    def run(self) -> SeriesRecord:
        """The series is clipped step by step."""
        norms = series(self)
        return SeriesRecord(job=self, norms=norms, applied=_applied(self.handler, norms))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRecord:
    """The norms before and after clipping.

    Shape: [before + after]; 0 where a step was refused.
    """

    job: SeriesJob
    norms: Floats
    applied: Floats

    @property
    def clipped_after(self) -> float:
        """Share of the steps after the rise that were clipped or refused."""
        return float(self._is_clipped[self.job.before :].mean())

    @property
    def steps_to_rest(self) -> int:
        """Steps after the rise until at most 5% of the fifty that follow are clipped."""
        after = self._is_clipped[self.job.before :]
        shares = np.convolve(after, np.full(50, 0.02), mode="valid")
        calm = np.flatnonzero(shares <= 0.05)
        return int(calm[0]) if len(calm) else len(after)

    @property
    def _is_clipped(self) -> NDArray[np.bool_]:
        return self.applied < self.norms * (1.0 - 1e-4)


def series(job: SeriesJob) -> Floats:
    """The norms of the job's series: around 1, then around its factor."""
    rng = np.random.default_rng(job.seed)
    deviation = math.sqrt(math.log1p(job.variation**2))
    norms = np.exp(deviation * NOISES[job.noise](rng, job.before + job.after))
    norms[job.before :] *= job.factor
    return norms


def _applied(handler: str, norms: Floats) -> Floats:
    weight = nn.Parameter(torch.ones(1))
    clip = ON_SERIES[handler]()
    applied = np.zeros_like(norms)
    for place, norm in enumerate(norms):
        weight.grad = torch.full((1,), float(norm))
        clip([weight])
        applied[place] = 0.0 if weight.grad is None else float(weight.grad)
    return applied


def _autocorrelated(rng: np.random.Generator, count: int, memory: float) -> Floats:
    values = rng.standard_normal(count)
    for place in range(1, count):
        values[place] = memory * values[place - 1] + math.sqrt(1 - memory**2) * values[place]
    return values
