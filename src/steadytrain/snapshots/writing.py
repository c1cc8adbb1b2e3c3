"""A snapshot as a file: complete under its name, or not there at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steadytrain.core.errors import ProgramError
from steadytrain.snapshots.encoding import to_json
from steadytrain.snapshots.layout import (
    DTYPES,
    MAX_HEADER,
    Entry,
    Header,
    aligned,
    bytes_of,
    hash_of,
    packed,
)
from steadytrain.snapshots.snapshot import Snapshot
from steadytrain.store.files import Disk, write_all

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def checked(snapshot: Snapshot) -> Any:
    """The snapshot's tree in JSON's own types, if it can be written at all.

    Raises:
        ProgramError: it holds something that only code could restore.
    """
    if sys.byteorder != "little":
        raise ProgramError("snapshots can be saved on little-endian machines only.")
    for name, tensor in zip(snapshot.names, snapshot.tensors, strict=True):
        if tensor.layout is not torch.strided or tensor.dtype not in _NAMES or _is_special(tensor):
            found = f"a {tensor.layout} {type(tensor).__name__} of {tensor.dtype}"
            raise ProgramError(
                f"{name} is {found}, expected a plain tensor: only the bytes of those can be "
                "saved. Leave it out of the program's parts, or give them a state_dict of plain "
                "tensors."
            )
    return to_json(snapshot.parts, "parts")


def write_snapshot(
    path: Path, snapshot: Snapshot, facts: dict[str, Any] | None = None, disk: Disk | None = None
) -> None:
    """The snapshot is on disk under `path`, or what stood there before still is.

    Args:
        path: the file; its directory exists.
        snapshot: what `capture` gave.
        facts: plain JSON to keep beside it.
        disk: the operating system's files.

    Raises:
        OSError: it could not be written; `path` is as it was.
        ProgramError: it holds something that only code could restore.
    """
    front = _front(snapshot, checked(snapshot), facts or {})
    files = disk or Disk()
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    files.remove(fresh)
    try:
        _write(files, fresh, front, snapshot.tensors)
        files.replace(fresh, path)
    except BaseException:
        _forget(files, fresh)
        raise
    files.sync_directory(path.parent)


def _front(snapshot: Snapshot, tree: Any, facts: dict[str, Any]) -> bytes:
    """Everything before the first tensor; its length depends on the offsets in it."""
    snapshot.wait()
    blocks = [bytes_of(tensor) for tensor in snapshot.tensors]
    hashes = [hash_of(block) for block in blocks]
    start, length = 0, -1
    front = b""
    while length != len(front):  # more digits in an offset may move the tensors once more
        length = start = len(front)
        entries = tuple(_entries(snapshot, blocks, hashes, start))
        size = aligned(entries[-1].offset + entries[-1].num_bytes) if entries else start
        header = Header(
            step=snapshot.step,
            size=size,
            tensors=entries,
            parts=tree,
            uncovered=snapshot.uncovered,
            facts=facts,
        )
        front = packed(header)
    if len(front) > MAX_HEADER:
        raise ProgramError(
            f"the snapshot describes {len(blocks)} tensors in {len(front)} bytes, more than the "
            f"{MAX_HEADER} that are read again. Leave large lists out of the program's parts."
        )
    return front


def _entries(
    snapshot: Snapshot, blocks: Sequence[memoryview], hashes: Sequence[str], start: int
) -> Iterator[Entry]:
    at = start
    rows = zip(snapshot.names, snapshot.tensors, blocks, hashes, strict=True)
    for name, tensor, block, digest in rows:
        shape = tuple(tensor.shape)
        kind = _NAMES[tensor.dtype]
        yield Entry(
            name=name, dtype=kind, shape=shape, offset=at, num_bytes=block.nbytes, hash=digest
        )
        at = aligned(at + block.nbytes)


def _write(disk: Disk, path: Path, front: bytes, tensors: Sequence[Tensor]) -> None:
    descriptor = disk.create(path)
    try:
        write_all(disk, descriptor, front)
        for tensor in tensors:
            block = bytes_of(tensor)
            write_all(disk, descriptor, block)
            if padding := aligned(block.nbytes) - block.nbytes:
                write_all(disk, descriptor, bytes(padding))
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


def _is_special(tensor: Tensor) -> bool:
    return type(tensor) is not Tensor or tensor.is_quantized or tensor.is_nested


def _forget(disk: Disk, path: Path) -> None:
    try:
        disk.remove(path)
    except OSError:
        return  # the reason it could not be written is the error to show
