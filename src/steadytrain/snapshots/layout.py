"""How a snapshot stands in its file, and what of a file's header can be believed.

    offset  0  magic          8 bytes   89 53 54 53 4e 41 50 0a
            8  version        u32
           12  reserved       u32       0
           16  header length  u64
           24  header hash    32 bytes  SHA-256 of the header
           56  header                   JSON: step, size, tensors, parts
               zeros up to a multiple of 64
               the tensors' bytes, little-endian, each from a multiple of 64 on, zeros between

Every byte is covered: magic, version and zeros are compared, the header has a hash, and it holds
the file's size and a hash (SHA-256, half of it) of every tensor.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

import torch
from torch import Tensor

MAGIC: Final = b"\x89STSNAP\n"
VERSION: Final = 1
MAX_HEADER: Final = 32 << 20
"""Bytes of a header; a longer one is not believed. About 200,000 tensors."""

ALIGNMENT: Final = 64
MAX_DIMS: Final = 64

_PREFIX: Final = struct.Struct("<8sIIQ32s")
PREFIX_BYTES: Final = _PREFIX.size

DTYPES: Final[dict[str, torch.dtype]] = {
    str(value).removeprefix("torch."): value
    for name in [
        "bool",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "complex32",
        "complex64",
        "complex128",
        "float8_e4m3fn",
        "float8_e5m2",
        "float8_e4m3fnuz",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
    ]
    if isinstance(value := getattr(torch, name, None), torch.dtype)
}
"""The elements a snapshot may have, by name: those that are bytes and nothing else."""


class DamagedSnapshotError(ValueError):
    """The file is not what was written; says what is wrong, and with which tensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tensor in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    num_bytes: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """All of a snapshot but the elements of its tensors."""

    step: int
    size: int
    """Bytes of the whole file."""
    tensors: tuple[Entry, ...]
    parts: Any
    """The tree, as `encoding.to_json` gives it."""
    uncovered: tuple[str, ...] = ()
    facts: dict[str, Any]
    """What else whoever wrote it wanted kept: plain JSON."""


def hash_of(block: Any) -> str:
    """The hash that stands in the header for a tensor's bytes."""
    return hashlib.sha256(block).hexdigest()[:32]


def bytes_of(tensor: Tensor) -> memoryview:
    """The elements of a contiguous host tensor as bytes, without a copy."""
    if not tensor.numel():
        return memoryview(b"")
    flat = tensor.detach().contiguous().reshape(-1)
    return memoryview(cast("Any", flat.view(torch.uint8).numpy()))


def aligned(offset: int) -> int:
    """The first multiple of the alignment from `offset` on."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def packed(header: Header) -> bytes:
    """The file up to its first tensor."""
    text = json.dumps(asdict(header), separators=(",", ":"), allow_nan=False).encode()
    digest = hashlib.sha256(text).digest()
    front = _PREFIX.pack(MAGIC, VERSION, 0, len(text), digest) + text
    return front + bytes(aligned(len(front)) - len(front))


def header_length(prefix: bytes) -> int:
    """How many bytes the header has.

    Raises:
        DamagedSnapshotError: the file does not begin as a snapshot does.
    """
    if len(prefix) < PREFIX_BYTES:
        raise DamagedSnapshotError(f"it ends after {len(prefix)} bytes, within its beginning")
    magic, version, reserved, length, _ = _PREFIX.unpack_from(prefix)
    if magic != MAGIC or reserved:
        raise DamagedSnapshotError("it does not begin as a snapshot does")
    if version != VERSION:
        raise DamagedSnapshotError(f"it has version {version}, expected {VERSION}")
    if length > MAX_HEADER:
        raise DamagedSnapshotError(f"its header has {length} bytes, more than {MAX_HEADER}")
    return length


def unpacked(prefix: bytes, text: bytes, file_size: int) -> Header:
    """The header, if every number in it can be believed.

    Raises:
        DamagedSnapshotError: it was changed, or describes what no snapshot is.
    """
    if hashlib.sha256(text).digest() != _PREFIX.unpack_from(prefix)[4]:
        raise DamagedSnapshotError("its header does not have the hash that was written")
    try:
        header = _header(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedSnapshotError(f"its header cannot be read ({error})") from error
    if header.size != file_size:
        raise DamagedSnapshotError(f"it has {file_size} bytes, expected {header.size}")
    _check_places(header, aligned(PREFIX_BYTES + len(text)))
    return header


def _header(data: Any) -> Header:
    entries = tuple(
        Entry(**{**entry, "shape": tuple(entry["shape"])})
        for entry in cast("list[dict[str, Any]]", data["tensors"])
    )
    fields = {**data, "tensors": entries, "uncovered": tuple(data["uncovered"])}
    header = Header(**fields)
    numbers = [header.step, header.size]
    for entry in entries:
        numbers += [entry.offset, entry.num_bytes, *entry.shape]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a count that is no whole number from 0 on")
    words = [*header.uncovered]
    for entry in entries:
        words += [entry.name, entry.dtype, entry.hash]
    if not all(isinstance(word, str) for word in words):
        raise ValueError("a name that is no text")
    if not isinstance(header.facts, dict):
        raise TypeError("facts that are no object")
    return header


def _check_places(header: Header, start: int) -> None:
    """Every tensor has its own bytes within the file, as many as its shape needs."""
    at = start
    for entry in header.tensors:
        name = str(entry.name)[:200]
        if entry.dtype not in DTYPES or len(entry.shape) > MAX_DIMS:
            raise DamagedSnapshotError(f"{name} has elements of the unknown kind {entry.dtype!r}")
        if entry.num_bytes != math.prod(entry.shape) * DTYPES[entry.dtype].itemsize:
            raise DamagedSnapshotError(
                f"{name} has {entry.num_bytes} bytes, not those of its shape"
            )
        if entry.offset != at:
            raise DamagedSnapshotError(f"{name} begins at byte {entry.offset}, expected {at}")
        at = aligned(at + entry.num_bytes)
    if at != header.size:
        raise DamagedSnapshotError(f"its tensors end at byte {at}, expected {header.size}")
