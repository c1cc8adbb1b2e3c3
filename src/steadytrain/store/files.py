"""Every system call of the store, in one object that a test can make fail at will.

Files are private to their owner (0600 in 0700 directories), are never reached through a symbolic
link, and are read only where they are regular files, up to a stated size.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700

_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)
_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)


class NotARegularFileError(OSError):
    """The path is a link, a device, a pipe or a directory; it was not read."""


class Disk:
    """The operating system's files, one method per call.

    A test's subclass raises from any of them; nothing in the store goes around it.
    """

    def make_directory(self, path: Path) -> None:
        """`path` is a directory; when it is new, only its owner may look into it.

        Raises:
            OSError: it cannot be made, or something that is no directory stands there.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=DIRECTORY_MODE)
        except FileExistsError:
            if not path.is_dir():
                raise
        else:
            path.chmod(DIRECTORY_MODE)

    def create(self, path: Path) -> int:
        """A descriptor that appends to the new file `path`.

        Raises:
            OSError: the file exists, or cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _NOFOLLOW | _BINARY
        descriptor = os.open(path, flags, FILE_MODE)
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, FILE_MODE)
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def num_links(self, descriptor: int) -> int:
        """Names the open file still has; 0 once somebody deleted it."""
        return os.fstat(descriptor).st_nlink

    def replace(self, source: Path, target: Path) -> None:
        source.replace(target)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """The names in `path` survive a power cut, where the system can promise that."""
        if os.name == "nt":
            return
        descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(disk: Disk, descriptor: int, data: bytes | memoryview) -> None:
    """Every byte of `data` was handed to the system, in one call unless it took fewer.

    Raises:
        OSError: the system refused; an unknown part of `data` may stand in the file.
    """
    view = memoryview(data)
    while view:
        written = disk.write(descriptor, view)
        if written <= 0:
            raise OSError(f"the system accepted {written} of {len(view)} bytes")
        view = view[written:]


def replace_file(disk: Disk, path: Path, data: bytes) -> None:
    """`path` holds `data`, or what it held before: never a mixture, never half.

    Raises:
        OSError: the file could not be written; `path` is as it was.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    disk.remove(fresh)
    descriptor = disk.create(fresh)
    try:
        try:
            write_all(disk, descriptor, data)
            disk.sync(descriptor)
        finally:
            disk.close(descriptor)
        disk.replace(fresh, path)
    except BaseException:
        _forget(disk, fresh)
        raise
    disk.sync_directory(path.parent)


def _forget(disk: Disk, path: Path) -> None:
    try:
        disk.remove(path)
    except OSError:
        return  # the reason it could not be written is the error to show


def read_regular(path: Path, max_bytes: int) -> tuple[bytes, int]:
    """The first `max_bytes` bytes of a regular file, and how many it has.

    Raises:
        NotARegularFileError: `path` is a link, a pipe, a device or a directory.
        OSError: it cannot be opened or read.
    """
    # Without O_NONBLOCK the open of a named pipe would wait for a writer for ever.
    try:
        descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW | _BINARY | _NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise NotARegularFileError(f"{path} is a symbolic link") from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotARegularFileError(f"{path} is not a regular file")
        return _read_up_to(descriptor, min(found.st_size, max_bytes)), found.st_size
    finally:
        os.close(descriptor)


def _read_up_to(descriptor: int, num_bytes: int) -> bytes:
    parts: list[bytes] = []
    while num_bytes > 0:
        part = os.read(descriptor, min(num_bytes, 1 << 26))
        if not part:
            break
        parts.append(part)
        num_bytes -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
