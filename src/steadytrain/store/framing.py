"""Frames: how a record stands in a segment, so that damage is found and stays local.

    offset  0  magic         4 bytes  f7 53 74 52
            4  version       u8
            5  kind          u8       what the payload is
            6  reserved      u16      0
            8  sequence      u32      0, 1, 2 ... within the segment
           12  length        u32      bytes of payload
           16  payload crc   u32      crc32 of the payload
           20  header crc    u32      crc32 of the twenty bytes above
           24  payload

Both checksums start from a seed made of the run's id and the segment's number, so that a frame
of another run or another segment (a block the file system gave back, two files glued together)
does not pass for one of this. Only the first frame of a segment, which names them, starts from
zero. A gap in the sequence numbers tells how many records damage has taken.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

FRAME_VERSION: Final = 1
MAGIC: Final = b"\xf7StR"
MAX_PAYLOAD: Final = 32 << 20
"""Bytes of one payload; a longer length in a header is not believed."""

HEADER_KIND: Final = 1
"""The kind of a segment's first frame."""

_FIELDS: Final = struct.Struct("<4sBBHIII")
_CRC: Final = struct.Struct("<I")
HEADER_BYTES: Final = _FIELDS.size + _CRC.size


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that passed both checksums."""

    kind: int
    sequence: int
    offset: int
    payload: memoryview


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes `start` to `stop` that are no frame.

    `unfinished` marks the beginning of a frame whose end was never written: what a process
    leaves that was killed in the middle of a write.
    """

    start: int
    stop: int
    unfinished: bool = False


def seed_of(run_id: str, number: int) -> int:
    """Where the checksums of a segment start."""
    return zlib.crc32(f"{run_id}/{number}".encode())


def encode(kind: int, sequence: int, payload: bytes, seed: int) -> bytes:
    """The frame's header; the payload follows it."""
    start = 0 if kind == HEADER_KIND else seed
    payload_crc = zlib.crc32(payload, start)
    fields = _FIELDS.pack(MAGIC, FRAME_VERSION, kind, 0, sequence, len(payload), payload_crc)
    return fields + _CRC.pack(zlib.crc32(fields, start))


def scan(data: bytes, seed: int) -> Iterator[Frame | Damage]:
    """The frames in `data` in order, with the damage between them. It never raises.

    Args:
        data: a segment from its first byte on.
        seed: `seed_of` the segment.
    """
    view = memoryview(data)
    at = damaged_from = 0
    while at < len(data):
        frame = _frame_at(view, at, seed)
        if frame is None:
            at = _next_magic(data, at + 1)
            continue
        if damaged_from < at:
            yield Damage(damaged_from, at)
        yield frame
        at = damaged_from = at + HEADER_BYTES + len(frame.payload)
    if damaged_from < len(data):
        yield Damage(damaged_from, len(data), _is_unfinished(view, damaged_from, seed))


def _next_magic(data: bytes, start: int) -> int:
    at = data.find(MAGIC, start)
    return len(data) if at < 0 else at


def _header_at(view: memoryview, at: int, seed: int) -> tuple[int, int, int, int] | None:
    """Kind, sequence, length and payload checksum of a header that can be believed."""
    if at + HEADER_BYTES > len(view):
        return None
    magic, version, kind, _, sequence, length, payload_crc = _FIELDS.unpack_from(view, at)
    (header_crc,) = _CRC.unpack_from(view, at + _FIELDS.size)
    start = 0 if kind == HEADER_KIND else seed
    if magic != MAGIC or version != FRAME_VERSION or length > MAX_PAYLOAD:
        return None
    if zlib.crc32(view[at : at + _FIELDS.size], start) != header_crc:
        return None
    # A second first frame means that another file was glued to this one.
    return None if kind == HEADER_KIND and at else (kind, sequence, length, payload_crc)


def _frame_at(view: memoryview, at: int, seed: int) -> Frame | None:
    header = _header_at(view, at, seed)
    if header is None:
        return None
    kind, sequence, length, payload_crc = header
    payload = view[at + HEADER_BYTES : at + HEADER_BYTES + length]
    start = 0 if kind == HEADER_KIND else seed
    if len(payload) < length or zlib.crc32(payload, start) != payload_crc:
        return None
    return Frame(kind, sequence, at, payload)


def _is_unfinished(view: memoryview, at: int, seed: int) -> bool:
    rest = len(view) - at
    if rest < HEADER_BYTES:
        return bytes(view[at : at + 4]) == MAGIC[: min(rest, 4)]
    header = _header_at(view, at, seed)
    return header is not None and at + HEADER_BYTES + header[2] > len(view)
