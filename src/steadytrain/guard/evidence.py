"""What is left on disk when a guard gives up: enough to find out why, as one JSON file."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def write_bundle(directory: Path, step: int, content: Mapping[str, Any]) -> Path | None:
    """The evidence is in `guard-stop-<step>.json`; None where the disk refused, which is logged.

    Args:
        directory: made if it is not there.
        step: finished steps.
        content: JSON's own types; numbers that are not finite become text.

    Example:
        >>> import tempfile
        >>> path = write_bundle(Path(tempfile.mkdtemp()), 7, {"loss": float("nan")})
        >>> json.loads(path.read_text())["loss"]
        'nan'
    """
    path = directory / f"guard-stop-{step}.json"
    text = json.dumps(_plain({**content, "machine": _machine()}), indent=1, allow_nan=False)
    part = path.with_name(f".{path.name}.part")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        logging.getLogger("steadytrain").warning("the evidence could not be written: %s", error)
        return None
    return path


def _machine() -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0.0 else str(value)
    return value if isinstance(value, str | int | None) else str(value)
