"""Which files are linted, and what is said of one that cannot be read."""

from __future__ import annotations

import fnmatch
import io
import os
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SUFFIXES: Final = (".py", ".ipynb")

PASSED_OVER: Final = {
    "venv",
    "env",
    "node_modules",
    "__pycache__",
    "build",
    "dist",
    "site-packages",
}
"""Folders that hold nobody's own code; hidden ones are passed over too."""

MAX_BYTES: Final = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A file that could not be linted, and why."""

    path: str
    message: str
    line: int | None = None

    @property
    def place(self) -> str:
        """`path` or `path:line`."""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    def to_json(self) -> dict[str, Any]:
        """The problem as JSON's own types."""
        return {"path": self.path, "line": self.line, "message": self.message}

    @classmethod
    def of_parsing(cls, path: Path, error: BaseException) -> Problem:
        """What is said of a file that the parser refused with `error`."""
        if isinstance(error, SyntaxError):
            what = f"is not Python {_version()}: {error.msg}. Put the line right"
            return cls(path=str(path), line=error.lineno, message=f"{what}, or exclude the file.")
        if isinstance(error, RecursionError | MemoryError):
            what = "is nested too deeply to be read. Break its longest expression into parts"
        else:
            what = f"cannot be read: {error}. Expected a notebook in JSON; save it again"
        return cls(path=str(path), message=f"{what}, or exclude the file.")


def _version() -> str:
    import sys

    return f"{sys.version_info.major}.{sys.version_info.minor}"


def find_files(paths: Sequence[Path], exclude: Sequence[str]) -> tuple[list[Path], list[Problem]]:
    """The files that `paths` name, each once, in order; and what is wrong with a path."""
    files: dict[Path, None] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            is_folder, exists = path.is_dir(), path.exists()
        except (OSError, ValueError) as error:
            problems.append(Problem(path=str(path), message=f"cannot be looked at: {error}."))
            continue
        if is_folder:
            _search(path, exclude, files, problems)
        elif exists:
            files[path] = None
        else:
            msg = "there is nothing here, expected a file or a folder. Check the path."
            problems.append(Problem(path=str(path), message=msg))
    return list(files), problems


def _search(
    folder: Path, exclude: Sequence[str], files: dict[Path, None], problems: list[Problem]
) -> None:
    def refused(error: OSError) -> None:
        msg = f"cannot be searched ({error.strerror or error}). Check the folder's rights."
        problems.append(Problem(path=str(error.filename or folder), message=msg))

    for place, folders, names in os.walk(folder, onerror=refused):
        inner = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in PASSED_OVER
            and not (inner / name / "pyvenv.cfg").exists()
            and not _excluded(inner / name, folder, exclude)
        )
        for name in sorted(names):
            path = inner / name
            if (
                name.endswith(SUFFIXES)
                and not name.startswith(".")
                and not _excluded(path, folder, exclude)
            ):
                files[path] = None


def _excluded(path: Path, root: Path, patterns: Sequence[str]) -> bool:
    texts = (path.relative_to(root).as_posix(), path.as_posix(), path.name)
    return any(fnmatch.fnmatch(text, pattern.rstrip("/")) for pattern in patterns for text in texts)


def read_text(path: Path) -> str | Problem:
    """The text of a file in the encoding it declares, with its own line ends; or what is wrong."""
    try:
        if not path.is_file():
            return Problem(path=str(path), message="is no ordinary file. Name a file or a folder.")
        data = path.read_bytes()
    except OSError as error:
        msg = f"cannot be read ({error.strerror or error}). Check the file's rights."
        return Problem(path=str(path), message=msg)
    if len(data) > MAX_BYTES:
        msg = f"has {len(data):,} bytes, more than the {MAX_BYTES:,} that are read. Exclude it."
        return Problem(path=str(path), message=msg)
    return decoded(data, path)


def decoded(data: bytes, path: Path) -> str | Problem:
    """`data` as text in the encoding it declares, UTF-8 without."""
    try:
        return data.decode(encoding_of(data))
    except (UnicodeDecodeError, SyntaxError, LookupError) as error:
        reason = str(error).partition(":")[0]
        msg = (
            f"is not text in the encoding it declares, UTF-8 if none ({reason}). Save it as UTF-8."
        )
        return Problem(path=str(path), message=msg)


def encoding_of(data: bytes) -> str:
    """The encoding that a file of Python declares; one with a byte order mark keeps it.

    Raises:
        SyntaxError: it declares one that does not exist.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return encoding
