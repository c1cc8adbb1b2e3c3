"""Snapshots on disk, two generations: complete or absent, verified before use.

A file appears under its name only when all of it is on disk, and every byte of it is checked
before anything is made of it. The last two are kept, so that one damaged file costs some steps,
not the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from steadytrain.core.errors import StoreError
from steadytrain.snapshots.layout import DamagedSnapshotError
from steadytrain.snapshots.reading import read_snapshot
from steadytrain.snapshots.snapshot import Snapshot
from steadytrain.snapshots.writing import write_snapshot
from steadytrain.store.files import Disk

KEEP: Final = 2

_NAME: Final = re.compile(r"step-(\d{9,19})\.snapshot")
_OLD_NAME: Final = re.compile(r"step-\d{9,19}\.pt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A snapshot that was read back whole."""

    path: Path
    snapshot: Snapshot
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    """What was saved beside it."""
    damaged: tuple[str, ...] = ()
    """What was wrong with newer ones that were passed over."""


class Checkpoints:
    """The snapshots of one run directory, newest first.

    Args:
        run_dir: they stand in its folder `checkpoints`, which the first `save` makes.
        disk: the operating system's files.
        keep: generations kept.

    Example:
        ```python
        import tempfile
        from pathlib import Path

        import torch
        from steadytrain.snapshots import Checkpoints, capture, restore

        model = torch.nn.Linear(2, 1)
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(Path(folder))
            checkpoints.save(capture({"model": model}, step=7))
            loaded = checkpoints.load_newest()
            restore(loaded.snapshot, {"model": model})
        assert loaded.snapshot.step == 7
        ```
    """

    def __init__(self, run_dir: Path, *, disk: Disk | None = None, keep: int = KEEP) -> None:
        self.directory = run_dir / "checkpoints"
        self._disk = disk or Disk()
        self._keep = keep

    def paths(self) -> list[Path]:
        """The files under a snapshot's name, newest first; they may be damaged."""
        found = [path for path in self._listed() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_step, reverse=True)

    def save(self, snapshot: Snapshot, facts: dict[str, Any] | None = None) -> Path:
        """The snapshot is on disk as that of its step; all but it and the one before are gone.

        One of a later step is gone too: the run went back, and took another way from there.

        Raises:
            OSError: it could not be written; the earlier ones are as they were.
            ProgramError: it holds something that only code could restore.
        """
        self._disk.make_directory(self.directory)
        path = self.directory / f"step-{snapshot.step:09d}.snapshot"
        write_snapshot(path, snapshot, facts, self._disk)
        self._forget_old(path)
        return path

    def load_newest(self) -> Loaded | None:
        """The newest snapshot that is whole, or None where there is none at all.

        Raises:
            StoreError: there are snapshots, and every one is damaged or of an older format.
        """
        damaged: list[str] = []
        for path in self.paths():
            try:
                snapshot, facts = read_snapshot(path)
            except (OSError, DamagedSnapshotError) as error:
                damaged.append(f"{path.name}: {error}")
                continue
            return Loaded(path=path, snapshot=snapshot, facts=facts, damaged=tuple(damaged))
        if damaged:
            raise StoreError(
                f"no checkpoint in {self.directory} can be used: {'; '.join(damaged)}. Expected "
                "at least one whole file. Copy one back from a backup, or train into another run "
                "directory."
            )
        self._refuse_old_format()
        return None

    def _refuse_old_format(self) -> None:
        old = [path.name for path in self._listed() if _OLD_NAME.fullmatch(path.name)]
        if old:
            raise StoreError(
                f"{self.directory} holds {', '.join(sorted(old))}, which version 0.1 wrote and "
                "this one does not read. Finish that run with version 0.1, or train into another "
                "run directory."
            )

    def _forget_old(self, newest: Path) -> None:
        """What is not of the generations to keep is gone, and what a killed process left."""
        paths = self.paths()
        place = paths.index(newest) if newest in paths else 0
        parts = [path for path in self._listed() if _is_part(path)]
        for path in (*paths[:place], *paths[place + self._keep :], *parts):
            with suppress(OSError):  # a file that stays costs space, not the run
                self._disk.remove(path)

    def _listed(self) -> Iterator[Path]:
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from self.directory.iterdir()


def _is_part(path: Path) -> bool:
    return path.name.startswith(".step-") and path.name.endswith(".tmp")


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1
