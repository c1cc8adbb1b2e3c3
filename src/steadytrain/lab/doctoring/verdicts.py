"""What the doctor said of one program, as far as it is scored; plain data that is kept on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import known_faults
from steadytrain.lab.zoo.scoring import Job


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
    """Processor time."""
    steps: int = 0
    """Of the observed run."""
    restored: bool | None = None
    """Whether the fix made it train as its twin does; None where no change to a program could."""
    tried: tuple[str, ...] = ()
    """Names of the changes that were tried."""
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
        job = self.job
        case = Case(architecture=job.architecture, seed=job.seed, data=job.data)
        places = known_faults()[job.name].places(case)
        if not places:
            return None
        site = self.causes[0].site if self.causes else None
        return site is not None and any(_meet(site, place) for place in places)

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON's own types."""
        data = asdict(self)
        data["job"]["data"] = None if self.job.data is None else str(self.job.data)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_json` wrote."""
        job = dict(data["job"])
        job["data"] = None if job["data"] is None else Path(job["data"])
        causes = tuple(Said(**one) for one in data["causes"])
        rest = {**data, "job": Job(**job), "causes": causes, "tried": tuple(data["tried"])}
        return cls(**rest)


def _meet(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
