"""Small JSON documents of a run directory: `run.json` and `experiment.json`.

A document is replaced whole or not at all. What it says is data: nothing in it is executed, and
one that is too large, a link or no JSON is refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from steadytrain.core.errors import StoreError
from steadytrain.core.experiment import Experiment
from steadytrain.store.files import Disk, read_regular, replace_file
from steadytrain.store.records import from_json, to_json

RUN_DOCUMENT: Final = "run.json"
EXPERIMENT_DOCUMENT: Final = "experiment.json"
MAX_DOCUMENT_BYTES: Final = 64 << 20


def write_document(path: Path, content: Mapping[str, Any], disk: Disk | None = None) -> None:
    """`path` holds `content` as JSON, or what it held before.

    Raises:
        OSError: it could not be written.
    """
    replace_file(disk or Disk(), path, to_json(content) + b"\n")


def read_document(path: Path) -> dict[str, Any]:
    """The object that a document holds.

    Raises:
        OSError: there is none, or it is not a regular file.
        ValueError: it is too large, or not a JSON object.
    """
    data, size = read_regular(path, MAX_DOCUMENT_BYTES)
    if size > MAX_DOCUMENT_BYTES:
        raise ValueError(f"it has {size:,} bytes, at most {MAX_DOCUMENT_BYTES:,} are read")
    return from_json(data)


def write_experiment(run_dir: str | os.PathLike[str], experiment: Experiment) -> Path:
    """The run directory holds `experiment`; the directory is made where it is missing.

    Raises:
        StoreError: it could not be written.
    """
    path = Path(run_dir) / EXPERIMENT_DOCUMENT
    disk = Disk()
    try:
        disk.make_directory(path.parent)
        write_document(path, experiment.to_json(), disk)
    except OSError as error:
        msg = f"the experiment {experiment.name!r} could not be written to {path}: {error}."
        raise StoreError(f"{msg} Choose a directory that can be written to.") from error
    return path


def read_experiment(run_dir: str | os.PathLike[str]) -> Experiment | None:
    """The experiment in a run directory, or None where there is none.

    Raises:
        StoreError: there is one that cannot be read.
    """
    path = Path(run_dir) / EXPERIMENT_DOCUMENT
    try:
        return Experiment.from_json(read_document(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path} is not an experiment that can be read: {error}."
        raise StoreError(f"{msg} Expected what write_experiment wrote; run it again.") from error
