"""What the doctor says of faulty and healthy programs, and how it is scored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from steadytrain.doctor.diagnosing import diagnose
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import known_controls, known_faults
from steadytrain.lab.zoo.scoring import Job, Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A cause, as far as it is scored."""

    name: str
    site: str | None
    confidence: float
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the doctor said of one program."""

    job: Job
    causes: tuple[Said, ...]
    cost: float
    """Steps of all runs, over those of the observed one."""
    seconds: float
    error: str = ""
    """Why there is no verdict."""

    @property
    def is_right(self) -> bool:
        """Whether the first cause is the planted one, or healthy was said of a healthy program."""
        return self.is_right_among(1)

    def is_right_among(self, first: int) -> bool:
        """Whether the right cause is among the `first` ones."""
        if self.job.kind != "fault":
            return not self.causes and not self.error
        planted = known_faults()[self.job.name]
        return bool({planted.cause, *planted.also} & {one.name for one in self.causes[:first]})

    @property
    def is_proven(self) -> bool:
        """Whether the first cause is proven."""
        return bool(self.causes) and self.causes[0].proven

    @property
    def is_placed(self) -> bool | None:
        """Whether the first cause names the fault's place or a part of it; None without a place."""
        if self.job.kind != "fault":
            return None
        places = known_faults()[self.job.name].places(_case(self.job))
        if not places:
            return None
        site = self.causes[0].site if self.causes else None
        return site is not None and any(_meet(site, place) for place in places)


def examine(job: Job) -> Verdict:
    """The doctor was asked about the program of `job`, with its preflight."""
    case = _case(job)
    if job.kind == "control":
        program, steps = (one := known_controls()[job.name]).program(case), one.steps
    else:
        planted = known_faults()[job.name]
        program = planted.program(case) if job.kind == "fault" else planted.twin(case)
        steps = planted.steps
    torch.manual_seed(job.seed)
    start = time.perf_counter()
    try:
        diagnosis = diagnose(program, steps, seed=job.seed, progress=False)
    except Exception as error:  # one program must not end the evaluation, and counts as missed
        line = f"{type(error).__name__}: {error}"
        return Verdict(job=job, causes=(), cost=0.0, seconds=0.0, error=line)
    return Verdict(
        job=job,
        causes=tuple(
            Said(name=one.name, site=one.site, confidence=one.confidence, proven=one.proven)
            for one in diagnosis.causes
        ),
        cost=diagnosis.cost,
        seconds=time.perf_counter() - start,
    )


def calibration(verdicts: Sequence[Verdict], bins: int = 5) -> list[tuple[float, float, int]]:
    """Per bin of confidence: the mean confidence, the share that is right, how many there are."""
    told = [(one.causes[0].confidence, one.is_right) for one in verdicts if one.causes]
    found: list[tuple[float, float, int]] = []
    for at in range(bins):
        last = at == bins - 1
        own = [(c, r) for c, r in told if at / bins <= c < (at + 1) / bins or (last and c >= 1.0)]
        if own:
            mean = sum(c for c, _ in own) / len(own)
            found.append((mean, sum(r for _, r in own) / len(own), len(own)))
    return found


def calibration_error(verdicts: Sequence[Verdict]) -> float:
    """The mean distance of confidence and truth over the bins, weighted by their size."""
    bins = calibration(verdicts)
    total = sum(count for *_, count in bins)
    return sum(abs(mean - share) * count for mean, share, count in bins) / total if total else 0.0


def shares(verdicts: Sequence[Verdict]) -> dict[str, Share]:
    """Every figure that is a share, by name."""
    faulty = [one for one in verdicts if one.job.kind == "fault"]
    healthy = [one for one in verdicts if one.job.kind != "fault"]
    placed = [place for one in faulty if (place := one.is_placed) is not None]
    return {
        "right cause first": Share.of(one.is_right for one in faulty),
        "right cause among three": Share.of(one.is_right_among(3) for one in faulty),
        "place right": Share.of(placed),
        "right ones proven": Share.of(one.is_proven for one in faulty if one.is_right),
        "said healthy of healthy": Share.of(one.is_right for one in healthy),
        "proven cause of healthy": Share.of(any(c.proven for c in one.causes) for one in healthy),
    }


def _case(job: Job) -> Case:
    return Case(architecture=job.architecture, seed=job.seed, data=job.data)


def _meet(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
