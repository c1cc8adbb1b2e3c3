"""The measurements of a run, kept in a file so that it can be judged again without training.

A file is named after its run and says which code made it. Where that code is unchanged the run
would come out the same, so it is read instead; the rules are not part of that code.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np
import torch

import steadytrain
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.core.stats import SiteKind

_ROOMS: Final = ("probes", "watching", "training", "optim", "lab/zoo")
_FILES: Final = (
    "core/columns.py",
    "core/history.py",
    "core/stats.py",
    "lab/datasets.py",
)
_JUDGING: Final = ("kept", "scoring", "tables", "claims", "charts", "verdicts", "running")
"""Files of `lab/zoo` that change no run."""

_UNREADABLE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One finished run, as far as judging and scoring it asks for."""

    history: History
    steps: int
    """Optimizer steps that were asked for."""
    seconds: float
    """Wall time of the run, training included."""
    watch_seconds: float
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    """What `st.train` said at the end: `loss`, and `validation_metric` where there is one."""
    findings: tuple[Finding, ...] = ()
    """What the watch said by itself, apart from every rule."""
    code: str
    """Digest of the code that made it."""


def code_of(module_file: Path) -> str:
    """A digest of everything that decides what a run of that fault or control measures."""
    return hashlib.sha256(_shared() + module_file.read_bytes()).hexdigest()[:16]


@cache
def _shared() -> bytes:
    digest = hashlib.sha256(f"torch {torch.__version__}".encode())
    for path in _sources():
        digest.update(path.read_bytes())
    return digest.digest()


def _sources() -> Iterator[Path]:
    root = Path(steadytrain.__file__).parent
    for room in _ROOMS:
        yield from (one for one in sorted((root / room).glob("*.py")) if one.stem not in _JUDGING)
    yield from (root / name for name in _FILES)


def write_kept(path: Path, kept: Kept) -> None:
    """The run is on disk whole, or not at all."""
    history = kept.history
    about = {
        "steps": kept.steps,
        "seconds": kept.seconds,
        "watch_seconds": kept.watch_seconds,
        "metrics": kept.metrics,
        "findings": [one.to_json() for one in kept.findings],
        "code": kept.code,
        "sites": {kind: history.sites_of(kind) for kind in get_args(SiteKind) if kind != "run"},
    }
    arrays: dict[str, Any] = {"about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)}
    for stat in history.stats:
        steps, rows = history.measured(stat)
        arrays[f"{stat}/steps"] = steps
        arrays[f"{stat}/rows"] = rows
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    with unfinished.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    unfinished.replace(path)


def code_kept(path: Path) -> str | None:
    """The digest of the code that made a kept run; None where there is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return json.loads(arrays["about"].tobytes())["code"]
    except _UNREADABLE:
        return None


def read_kept(path: Path) -> Kept | None:
    """The run, or None where there is none or its file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _assembled({name: arrays[name] for name in arrays.files})
    except _UNREADABLE:
        return None


def _assembled(arrays: dict[str, Any]) -> Kept:
    about = json.loads(arrays.pop("about").tobytes())
    history = History(cast("dict[SiteKind, list[str]]", about["sites"]), capacity=None)
    for name in [name.removesuffix("/steps") for name in arrays if name.endswith("/steps")]:
        history.extend(name, arrays[f"{name}/steps"], arrays[f"{name}/rows"])
    return Kept(
        history=history,
        steps=about["steps"],
        seconds=about["seconds"],
        watch_seconds=about["watch_seconds"],
        metrics=about["metrics"],
        findings=tuple(map(Finding.from_json, about["findings"])),
        code=about["code"],
    )
