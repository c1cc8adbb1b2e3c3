"""One program is examined: the diagnosis, and whether its fix makes the program train."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from steadytrain.core.diagnosis import Diagnosis
from steadytrain.doctor.diagnosing import diagnose
from steadytrain.lab.doctoring.plan import name_of, program_of
from steadytrain.lab.doctoring.restoring import is_restored
from steadytrain.lab.doctoring.verdicts import Said, Verdict
from steadytrain.lab.zoo.scoring import Job
from steadytrain.store.documents import read_document, write_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A program to be asked about, and where the verdict is kept; picklable."""

    job: Job
    folder: Path
    """Verdicts that were reached by this very doctor are read from here instead of again."""


def examine(examination: Examination) -> Verdict:
    """The verdict on the program of a job, kept on disk so that an interruption loses one."""
    found, path = kept(examination), _path(examination)
    if found is None:
        found = _examined(examination.job)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_document(path, {"doctor": doctors_digest(), "verdict": found.to_json()})
    return found


@cache
def doctors_digest() -> str:
    """A hash of the source of the doctor and of the causes: a verdict is of one of them."""
    import steadytrain

    found = hashlib.sha256()
    home = Path(steadytrain.__file__).parent
    for room in ("doctor", "causes"):
        for path in sorted((home / room).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def kept(examination: Examination) -> Verdict | None:
    """The verdict that this very doctor has reached before, if it is there."""
    try:
        content = read_document(_path(examination))
        return Verdict.from_json(content["verdict"]) if _is_ours(content) else None
    except (OSError, ValueError, KeyError, TypeError):  # missing, or of another version
        return None


def _path(examination: Examination) -> Path:
    return examination.folder / f"{_file_name(examination.job)}.json"


def _is_ours(content: dict[str, object]) -> bool:
    return content.get("doctor") == doctors_digest()


def _examined(job: Job) -> Verdict:
    program, steps = program_of(job)
    torch.manual_seed(job.seed)
    start = time.process_time()
    try:
        diagnosis = diagnose(program, steps, seed=job.seed, progress=False)
    except Exception as error:  # one program must not end the evaluation, and counts as missed
        line = f"{type(error).__name__}: {error}"
        return Verdict(job=job, causes=(), cost=0.0, seconds=0.0, steps=steps, error=line)
    seconds = time.process_time() - start
    return Verdict(
        job=job,
        causes=_said(diagnosis),
        cost=diagnosis.cost,
        seconds=round(seconds, 2),
        steps=steps,
        restored=is_restored(job, diagnosis, program, steps),
        tried=tuple(trial.name for trial in diagnosis.trials),
    )


def _said(diagnosis: Diagnosis) -> tuple[Said, ...]:
    return tuple(
        Said(name=one.name, site=one.site, confidence=one.confidence, proven=one.proven)
        for one in diagnosis.causes
    )


def _file_name(job: Job) -> str:
    where = "" if job.data is None else "-data"
    return name_of(job).replace(", ", "-").replace(" ", "-") + where
