"""Which programs the doctor is asked about: a part that was looked at, and a part that was not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import ARCHITECTURES, Case
from steadytrain.lab.zoo.planting import Control, Fault, known_controls, known_faults, unchanged
from steadytrain.lab.zoo.scoring import TUNING_SEEDS, Job, Kind

QUICK: Final = 1
"""Faults and controls of a quick run."""


def all_jobs(num_seeds: int, data: Path | None, *, is_quick: bool) -> list[Job]:
    """Each fault, control and healthy program once per seed in each of the two parts.

    The part that was looked at takes the first architecture a fault names and the first seeds; the
    part that is only scored the last architecture and later seeds. The healthy program itself stands
    once per architecture: the twin of a fault that needs no setting of its own.
    """
    if is_quick:
        return list(_quick(data))
    return [
        Job(kind=kind, name=name, architecture=on[place], seed=seed, data=data)
        for place, first in ((0, 0), (-1, TUNING_SEEDS))
        for kind, name, on in _named()
        for seed in range(first, first + num_seeds)
    ]


def spread(jobs: Sequence[Job]) -> list[Job]:
    """The jobs in an order of which any beginning is a fair sample.

    Those that are only scored come first; faulty and healthy programs are mixed, and neither the
    alphabet nor the folder says which come early.
    """

    def chance(job: Job) -> int:
        return zlib.crc32(name_of(job).encode())

    return sorted(jobs, key=lambda job: (not job.is_scored_only, chance(job)))


def program_of(job: Job) -> tuple[Program, int]:
    """The program of a job, and the steps after which its trouble shows."""
    case = Case(architecture=job.architecture, seed=job.seed, data=job.data)
    if job.kind == "control":
        own = known_controls()[job.name]
        return own.program(case), own.steps
    planted = known_faults()[job.name]
    return (planted.program(case) if job.kind == "fault" else planted.twin(case)), planted.steps


def name_of(job: Job) -> str:
    """The job in a line."""
    return f"{job.kind} {job.name} on {job.architecture}, seed {job.seed}"


def _named() -> Iterator[tuple[Kind, str, tuple[str, ...]]]:
    faults, controls = known_faults(), known_controls()
    kinds: tuple[tuple[Kind, dict[str, tuple[str, ...]]], ...] = (
        ("fault", {name: one.on for name, one in faults.items()}),
        ("twin", _healthy(faults)),
        ("control", {name: one.on for name, one in controls.items()}),
    )
    for kind, found in kinds:
        for name, on in found.items():
            yield kind, name, on


def _healthy(faults: dict[str, Fault]) -> dict[str, tuple[str, ...]]:
    """One fault per architecture whose twin is the plain healthy program."""
    found: dict[str, tuple[str, ...]] = {}
    for architecture in ARCHITECTURES:
        plain = (name for name, one in faults.items() if _is_plain_on(one, architecture))
        name = next((name for name in plain if name not in found), None)
        if name is not None:
            found[name] = (architecture,)
    return found


def _is_plain_on(fault: Fault, architecture: str) -> bool:
    return fault.prepare is unchanged and architecture in fault.on


def _quick(data: Path | None) -> Iterator[Job]:
    """A few short ones on the quickest architecture, under the first seed."""
    faults, controls = _short(known_faults()), _short(known_controls())
    kinds: tuple[tuple[Kind, list[str]], ...] = (
        ("fault", faults),
        ("twin", faults),
        ("control", controls),
    )
    for kind, names in kinds:
        for name in names:
            yield Job(kind=kind, name=name, architecture="mlp", seed=0, data=data)


def _short(known: dict[str, Fault] | dict[str, Control]) -> list[str]:
    short = [name for name, one in known.items() if "mlp" in one.on and one.steps <= 200]
    return short[:QUICK]
