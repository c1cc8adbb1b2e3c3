"""Finished runs, kept in files, so that an interrupted sweep goes on where it was.

A file is named after its run and the code that made it; where that code is unchanged the run would
come out the same, so it is read instead.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

import steadytrain
from steadytrain.lab.guarding.arms import GUARDED
from steadytrain.lab.guarding.one_run import Job, Outcome, run_job

_LOOPS: Final = ("lab/guarding/*.py", "blocks/critic_penalty.py")
_GUARD: Final = ("guard/*.py", "snapshots/*.py", "optim/*.py")
_JUDGING: Final = ("tables.py", "cells.py", "plan.py")
"""Files that change no run."""


def kept_job(job: Job, folder: Path) -> Outcome:
    """The outcome of one run, from its file where there is one, else from running it."""
    found = finished_job(job, folder)
    if found is not None:
        return found
    outcome = run_job(job)
    _write(_path(job, folder), outcome)
    return outcome


def finished_job(job: Job, folder: Path) -> Outcome | None:
    """The outcome of a run that was finished by the code as it is now; None where there is none."""
    return _read(_path(job, folder), job)


def _path(job: Job, folder: Path) -> Path:
    return folder / f"{hashlib.sha256(job.name.encode()).hexdigest()[:16]}-{_code(job)}.json"


def _write(path: Path, outcome: Outcome) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    unfinished.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    unfinished.replace(path)


def _read(path: Path, job: Job) -> Outcome | None:
    """The outcome that was written; None where there is none or it is of another run."""
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("job") != asdict(job):
            return None
        events = tuple((str(kind), int(count)) for kind, count in fields.pop("events"))
        return Outcome(job=job, events=events, **fields)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _code(job: Job) -> str:
    """A digest of the code that decides what comes of the run."""
    kind = f"lab/injections/{job.kind.replace('-', '_')}.py"
    patterns = (*_LOOPS, kind, *(_GUARD if job.arm in GUARDED else ()))
    return _digest(patterns)


@cache
def _digest(patterns: tuple[str, ...]) -> str:
    digest = hashlib.sha256(f"torch {torch.__version__}".encode())
    for path in _sources(patterns):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(patterns: tuple[str, ...]) -> Iterator[Path]:
    root = Path(steadytrain.__file__).parent
    for pattern in patterns:
        yield from (one for one in sorted(root.glob(pattern)) if one.name not in _JUDGING)
