"""A snapshot from its file, verified to the last byte before anything is made of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from steadytrain.snapshots.encoding import from_json
from steadytrain.snapshots.layout import (
    DTYPES,
    PREFIX_BYTES,
    DamagedSnapshotError,
    Entry,
    Header,
    aligned,
    hash_of,
    header_length,
    unpacked,
)
from steadytrain.snapshots.nodes import Items
from steadytrain.snapshots.snapshot import Snapshot

_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # without it the open of a named pipe waits for ever
    | getattr(os, "O_BINARY", 0)
)


def read_snapshot(path: Path) -> tuple[Snapshot, dict[str, Any]]:
    """The snapshot in `path` and the facts beside it, if every byte is what was written.

    Raises:
        OSError: it cannot be opened or read.
        DamagedSnapshotError: it is not what was written; names the tensor.
    """
    with _opened(path) as (descriptor, size):
        header, at = _header(descriptor, size)
        tensors = []
        for entry in header.tensors:
            tensors.append(_tensor(descriptor, entry))
            at = entry.offset + entry.num_bytes
            _check_zeros(descriptor, aligned(at) - at, entry.name)
        if os.read(descriptor, 1):
            raise DamagedSnapshotError("it goes on after its last tensor")
    snapshot = Snapshot(
        step=header.step,
        parts=_parts(header, len(tensors)),
        tensors=tensors,
        names=[entry.name for entry in header.tensors],
        uncovered=header.uncovered,
    )
    return snapshot, header.facts


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    """A descriptor of the regular file, and its size."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if path.is_symlink():
            raise DamagedSnapshotError("it is a symbolic link, which is not followed") from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise DamagedSnapshotError("it is not a regular file")
        yield descriptor, found.st_size
    finally:
        os.close(descriptor)


def _header(descriptor: int, size: int) -> tuple[Header, int]:
    prefix = _read(descriptor, min(PREFIX_BYTES, size))
    length = header_length(prefix)
    if PREFIX_BYTES + length > size:
        raise DamagedSnapshotError(f"it ends after {size} bytes, within its header")
    header = unpacked(prefix, _read(descriptor, length), size)
    at = PREFIX_BYTES + length
    _check_zeros(descriptor, aligned(at) - at, "its header")
    return header, aligned(at)


def _parts(header: Header, num_tensors: int) -> Items:
    try:
        parts = from_json(header.parts, num_tensors)
    except (ValueError, RecursionError) as error:
        raise DamagedSnapshotError(f"its tree cannot be read ({error})") from error
    if not isinstance(parts, Items) or not all(isinstance(name, str) for name, _ in parts.items):
        raise DamagedSnapshotError("its tree does not begin with named parts")
    return parts


def _tensor(descriptor: int, entry: Entry) -> Tensor:
    flat = torch.empty(entry.num_bytes, dtype=torch.uint8)
    block = memoryview(cast("Any", flat.numpy()))
    num_read = _read_into(descriptor, block)
    if num_read < entry.num_bytes:
        raise DamagedSnapshotError(f"it ends within {entry.name}")
    if hash_of(block) != entry.hash:
        raise DamagedSnapshotError(f"{entry.name} does not have the hash that was written")
    dtype = DTYPES[entry.dtype]
    try:
        return flat.view(dtype).reshape(entry.shape)
    except RuntimeError as error:  # sizes whose product is 0 and whose strides overflow
        raise DamagedSnapshotError(f"{entry.name} has no possible shape ({error})") from error


def _check_zeros(descriptor: int, count: int, after: str) -> None:
    if _read(descriptor, count) != bytes(count):
        raise DamagedSnapshotError(f"the bytes behind {after} are not the zeros that were written")


def _read(descriptor: int, count: int) -> bytes:
    block = bytearray(count)
    return bytes(block[: _read_into(descriptor, memoryview(block))])


def _read_into(descriptor: int, block: memoryview) -> int:
    """Fills the block from the file; how much of it there was."""
    at = 0
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        while at < len(block) and (num_read := file.readinto(block[at:])):
            at += num_read
    return at
