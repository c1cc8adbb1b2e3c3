"""Checkpoints on disk: complete or absent, verified before use, loaded without running code.

Each is a file and its SHA-256 beside it (as `sha256sum -c` reads it), because no common format
notices a flipped bit by itself. A file appears under its name only when all of it is on disk.
The last two are kept, so that one damaged file costs some steps, not the run.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import torch

from steadytrain.core.errors import StoreError
from steadytrain.training.portable import decode, encode

KEEP: Final = 2

_NAME: Final = re.compile(r"step-(\d{9,19})\.pt")
_PART: Final = ".part"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A checkpoint that was read back whole."""

    path: Path
    state: dict[str, Any]
    damaged: tuple[str, ...] = ()
    """What was wrong with newer ones that were passed over."""


class Checkpoints:
    """The checkpoints of one run directory, newest first.

    Args:
        run_dir: they stand in its folder `checkpoints`, which the first `save` makes.
    """

    def __init__(self, run_dir: Path) -> None:
        self.directory = run_dir / "checkpoints"

    def paths(self) -> list[Path]:
        """The files under a checkpoint's name, newest first; they may be damaged."""
        if not self.directory.is_dir():
            return []
        named = [path for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        files = [path for path in named if path.is_file() and not path.is_symlink()]
        return sorted(files, key=_step, reverse=True)

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """`state` is on disk as the checkpoint of `step`; all but the newest two are gone.

        Raises:
            OSError: it could not be written; the earlier ones are as they were.
            ProgramError: `state` holds something that only code could restore.
        """
        plain = encode(state)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f"step-{step:09d}.pt"
        with _replacing(path) as file:
            writer = _HashingWriter(file)
            torch.save(plain, writer)  # pyright: ignore[reportArgumentType]
            # the digest first: a checkpoint without one does not count as written
            with _replacing(_digest_path(path)) as digest_file:
                digest_file.write(f"{writer.digest}  {path.name}\n".encode())
        self._forget_old()
        return path

    def load_newest(self) -> Loaded | None:
        """The newest checkpoint that is whole, or None where there is none at all.

        Raises:
            StoreError: there are checkpoints, and every one is damaged.
        """
        damaged: list[str] = []
        for path in self.paths():
            try:
                state = _read_verified(path)
            except (OSError, ValueError) as error:
                damaged.append(f"{path.name}: {error}")
                continue
            return Loaded(path=path, state=state, damaged=tuple(damaged))
        if damaged:
            raise StoreError(
                f"no checkpoint in {self.directory} can be used: {'; '.join(damaged)}. Expected "
                "at least one whole file with its .sha256 beside it. Copy one back from a backup, "
                "or train into another run directory."
            )
        return None

    def _forget_old(self) -> None:
        old = self.paths()[KEEP:]
        leftovers = list(self.directory.glob(f".step-*{_PART}"))
        for path in (*old, *map(_digest_path, old), *leftovers):
            with suppress(OSError):  # a file that stays costs space, not the run
                path.unlink(missing_ok=True)


class _HashingWriter:
    """A binary file that knows the digest of what was written to it, in one pass."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, block: Any) -> int:
        self._hash.update(block)
        return self._file.write(block)

    def flush(self) -> None:
        self._file.flush()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the name `path` when the block ends well, and leaves no trace else."""
    part = path.with_name(f".{path.name}{_PART}")
    part.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_verified(path: Path) -> dict[str, Any]:
    """The state in `path`, if every byte is what was written.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what was written.
    """
    expected = _digest_path(path).read_text(encoding="ascii", errors="replace").split()[:1]
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
        if expected != [digest.hexdigest()]:
            raise ValueError("its bytes do not have the SHA-256 that stands beside it")
        file.seek(0)
        try:
            return decode(torch.load(file, map_location="cpu", weights_only=True))
        except Exception as error:  # whatever the unpickler refuses, the file is not ours
            raise ValueError(f"it does not load as plain tensors ({error})") from error


def _digest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1
