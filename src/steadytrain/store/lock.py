"""One live writer per run directory."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Final

from steadytrain.core.errors import RunBusyError
from steadytrain.store.files import FILE_MODE

try:
    import fcntl
except ImportError:  # a system without flock: the directory is then not guarded
    fcntl = None

LOCK_FILE: Final = "lock"


class DirectoryLock:
    """The run directory is this process's own until `release` or the end of the process.

    A kernel lock on the file `lock`, which holds the owner's process id for the message. It ends
    with the process, however that dies. A forked child gives up its copy at once: a data loader
    worker that outlives a killed trainer would otherwise keep the directory busy.

    Raises:
        RunBusyError: another live process, or another writer of this one, holds it.
        OSError: the lock file cannot be opened.
    """

    def __init__(self, run_dir: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(run_dir / LOCK_FILE, flags, FILE_MODE)
        self._pid = os.getpid()
        try:
            self._take(run_dir)
        except BaseException:
            os.close(self._descriptor)
            raise
        _HELD.add(self)

    def _take(self, run_dir: Path) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip() or "?"
            msg = f"another writer (process {owner}) is recording in {run_dir}: expected one."
            raise RunBusyError(f"{msg} Give this run a directory of its own.") from error
        except OSError:
            return  # a file system without locks: two writers would not notice each other
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{self._pid}\n".encode(), 0)

    def release(self) -> None:
        """The directory is free for another writer."""
        if self._descriptor >= 0 and os.getpid() == self._pid:
            _HELD.discard(self)
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


_HELD: Final[weakref.WeakSet[DirectoryLock]] = weakref.WeakSet()


def _give_up_in_child() -> None:
    for lock in list(_HELD):
        lock._close()  # pyright: ignore[reportPrivateUsage]
    _HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_up_in_child)
