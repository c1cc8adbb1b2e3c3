"""Reading a run back: all that is undamaged, nothing that is wrong, and what is missing in words."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from steadytrain.core.action import Event
from steadytrain.core.errors import RunNotFoundError, StoreError
from steadytrain.core.experiment import Experiment
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.store.assembly import Assembly
from steadytrain.store.catalog import Catalog, read_catalog
from steadytrain.store.documents import EXPERIMENT_DOCUMENT, RUN_DOCUMENT, read_experiment
from steadytrain.store.scan import Segment, read_segment
from steadytrain.store.segments import SEGMENTS, segment_numbers, segment_path

_MAX_DEPTH: Final = 6
_ATTEMPTS: Final = 5


@dataclass(slots=True, kw_only=True)
class SavedRun:
    """A run as its directory tells it."""

    path: Path
    meta: dict[str, Any]
    """What the run says about itself, with `run_id`, `created` and `versions` of run.json."""
    history: History
    """Every row, with capacity None."""
    findings: list[Finding]
    events: list[Event]
    experiment: Experiment | None = None
    missing: list[str] = field(default_factory=list[str])
    """In sentences, what was recorded and is not here; empty for a whole run."""


class _VanishedError(Exception):
    """A segment was merged into another one while the run was read."""


def read_run(path: str | os.PathLike[str]) -> SavedRun:
    """The run in the directory `path`, also while it is written and when it is damaged.

    Raises:
        RunNotFoundError: there is no run there.
        RunVersionError: it was written by another schema version.
    """
    run_dir = Path(path)
    if not _is_run(run_dir):
        raise RunNotFoundError(_not_found(run_dir))
    for _ in range(_ATTEMPTS):
        try:
            return _read(run_dir, read_catalog(run_dir))
        except _VanishedError:
            continue
    msg = f"{run_dir} changed {_ATTEMPTS} times while it was read: expected a moment of rest."
    raise StoreError(f"{msg} Read it again, or stop the process that is writing in it.")


def find_runs(directory: str | os.PathLike[str]) -> list[Path]:
    """The run directories at and below `directory`, in order of path; links are not followed."""
    found: list[Path] = []
    waiting = [(Path(directory), 0)]
    while waiting:
        folder, depth = waiting.pop()
        if _is_run(folder):
            found.append(folder)
        if depth < _MAX_DEPTH and folder.name != SEGMENTS:
            waiting += [(child, depth + 1) for child in _folders(folder)]
    return sorted(found)


def _folders(folder: Path) -> list[Path]:
    try:
        return [p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()]
    except OSError:
        return []


def _is_run(folder: Path) -> bool:
    documents = (RUN_DOCUMENT, EXPERIMENT_DOCUMENT)
    return any((folder / name).is_file() for name in documents) or bool(segment_numbers(folder))


def _not_found(path: Path) -> str:
    if not path.exists():
        found = "nothing is there"
    elif not path.is_dir():
        found = "it is a file"
    else:
        found = "the directory holds none of them"
    below = find_runs(path)[:3]
    hint = (
        f"Did you mean {' or '.join(str(run) for run in below)}?"
        if below
        else ("Record one with steadytrain.watch(model, optimizer, run_dir=...).")
    )
    wanted = f"expected a directory with {RUN_DOCUMENT} or {SEGMENTS}/"
    return f"there is no run at {path}: {wanted}, but {found}. {hint}"


def _read(run_dir: Path, catalog: Catalog) -> SavedRun:
    assembly = Assembly(catalog.missing)
    for number in catalog.numbers:
        segment = _segment(run_dir, number, catalog)
        if segment is not None and not assembly.add(segment):
            break
    assembly.finish()
    document = dict(catalog.document or {})
    known = {
        name: document[name]
        for name in ("run_id", "created", "rank", "versions")
        if name in document
    }
    meta = document.get("meta")
    return SavedRun(
        path=run_dir,
        meta={
            "run_id": catalog.run_id,
            **known,
            **(meta if isinstance(meta, dict) else {}),
            **assembly.meta,
        },
        history=assembly.history,
        findings=assembly.findings(),
        events=assembly.events(),
        experiment=_experiment(run_dir, assembly.missing),
        missing=assembly.missing,
    )


def _segment(run_dir: Path, number: int, catalog: Catalog) -> Segment | None:
    path = segment_path(run_dir, number)
    try:
        return read_segment(path, number, catalog.run_id)
    except FileNotFoundError as error:
        raise _VanishedError from error
    except OSError as error:
        catalog.missing.append(f"{SEGMENTS}/{path.name} was not read: {error}.")
        return None


def _experiment(run_dir: Path, missing: list[str]) -> Experiment | None:
    try:
        return read_experiment(run_dir)
    except StoreError as error:
        missing.append(str(error))
        return None
