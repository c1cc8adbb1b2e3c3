"""Records: what the payload of a frame means, to bytes and back.

A block of rows is binary, everything else is JSON in ASCII. Decoding believes nothing: a payload
that does not fit its own description raises `ValueError`, and nothing is allocated that is larger
than the payload itself.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, cast, get_args

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.columns import Steps
from steadytrain.core.stats import SiteKind
from steadytrain.store.framing import HEADER_KIND, MAX_PAYLOAD

MAX_SITES: Final = 1 << 20
"""Sites of one kind; a table that says it has more is not believed."""

BLOCK_BYTES: Final = 1 << 20
"""A block of rows or of names is closed once it is this long."""

MAX_STEP: Final = 1 << 53

_BLOCK: Final = struct.Struct("<IIIBB")


class Kind(IntEnum):
    """What a frame's payload is."""

    HEADER = HEADER_KIND
    SITES = 2
    ROWS = 3
    HEAD_ROWS = 4
    """Rows among the first of their statistic: retention leaves them as they are."""
    FINDING = 5
    EVENT = 6
    META = 7
    TRUNCATE = 8
    DROPPED = 9
    NOTE = 10
    END = 11


@dataclass(frozen=True, slots=True)
class Record:
    """A payload on its way to the disk, with what is lost if it never gets there."""

    kind: Kind
    payload: bytes
    num_rows: int = 0
    first_step: int = 0
    last_step: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock:
    """Rows of one statistic: their steps, and [rows, sites] values.

    The epoch counts the truncations before the rows were recorded.
    """

    stat: str
    epoch: int
    steps: Steps
    values: NDArray[np.floating]
    head: bool = False


@dataclass(frozen=True, slots=True)
class Sites:
    """Names of sites from index `first` on; None where a name was too long to keep."""

    kind: SiteKind
    first: int
    names: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Truncation:
    """Rows of an earlier epoch at `step` and later are dead.

    With `resumed` a new process took up the run there, and what was found or done from that
    step on is dead too.
    """

    epoch: int
    step: int
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows that never reached the disk."""

    num_rows: int
    first_step: int
    last_step: int
    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    """A finding or an event as JSON, and the epoch it was made in."""

    epoch: int
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


def to_json(content: object) -> bytes:
    """`content` as ASCII JSON; what JSON has no type for becomes its text."""
    return json.dumps(content, default=str, separators=(",", ":")).encode("ascii")


def from_json(payload: bytes | memoryview) -> dict[str, Any]:
    """The object in `payload`.

    Raises:
        ValueError: it is not a JSON object.
    """
    try:
        content = json.loads(bytes(payload))
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, found a {type(content).__name__}")
    return cast("dict[str, Any]", content)


def encode_rows(block: RowBlock) -> Record:
    """The record of a block."""
    name = block.stat.encode()
    rows, width = block.values.shape
    fixed = _BLOCK.pack(block.epoch, rows, width, block.values.dtype.itemsize, len(name))
    parts = (fixed, name, _little(block.steps).tobytes(), _little(block.values).tobytes())
    kind = Kind.HEAD_ROWS if block.head else Kind.ROWS
    steps = block.steps.tolist()
    return Record(kind, b"".join(parts), rows, min(steps), max(steps))


def _little(numbers: NDArray[Any]) -> NDArray[Any]:
    if sys.byteorder == "little":
        return numbers
    return numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)


def decode_rows(payload: memoryview, *, head: bool = False) -> RowBlock:
    """The block that `encode_rows` wrote; it reads from `payload` without a copy.

    Raises:
        ValueError: the payload does not fit its description.
    """
    if len(payload) < _BLOCK.size:
        raise ValueError("a block of rows is shorter than its fixed part")
    epoch, rows, width, itemsize, name_bytes = _BLOCK.unpack_from(payload)
    start = _BLOCK.size + name_bytes
    expected = start + rows * 8 + rows * width * itemsize
    if itemsize not in (4, 8) or not rows or len(payload) != expected:
        raise ValueError(f"a block of rows has {len(payload)} bytes instead of {expected}")
    steps = np.frombuffer(payload, "<i8", rows, start)
    values = np.frombuffer(payload, f"<f{itemsize}", rows * width, start + rows * 8)
    if int(steps.min()) < 0 or int(steps.max()) > MAX_STEP:
        raise ValueError("a block of rows has a step outside 0 .. 2^53")
    stat = bytes(payload[_BLOCK.size : start]).decode()
    return RowBlock(stat, epoch, steps, values.reshape(rows, width), head)


def encode_sites(kind: SiteKind, first: int, names: Sequence[str]) -> Iterator[Record]:
    """The records that declare `names` from index `first` on, in blocks of bounded size."""
    block: list[str | None] = []
    size, start = 0, first
    for index, name in enumerate(names, first):
        # A character takes six bytes at most in ASCII JSON.
        kept = name if 6 * len(name) < MAX_PAYLOAD // 2 else None
        length = len(kept) if kept is not None else 4
        if block and size + length > BLOCK_BYTES:
            yield _sites(kind, start, block)
            block, size, start = [], 0, index
        block.append(kept)
        size += length
    if block:
        yield _sites(kind, start, block)


def _sites(kind: SiteKind, first: int, names: list[str | None]) -> Record:
    return Record(Kind.SITES, to_json({"kind": kind, "first": first, "names": names}))


def decode_sites(payload: memoryview) -> Sites:
    """The table part that `encode_sites` wrote.

    Raises:
        ValueError: it is none.
    """
    content = from_json(payload)
    kind, first, names = content.get("kind"), content.get("first"), content.get("names")
    if kind not in get_args(SiteKind) or not isinstance(first, int) or not isinstance(names, list):
        raise ValueError("a table of sites lacks its kind, its first index or its names")
    words = cast("list[object]", names)
    if not 0 <= first <= MAX_SITES - len(words):
        raise ValueError(f"a table of sites goes beyond {MAX_SITES} names")
    if not all(word is None or isinstance(word, str) for word in words):
        raise ValueError("a table of sites holds something that is not a name")
    return Sites(cast("SiteKind", kind), first, tuple(cast("list[str | None]", words)))


def encode_truncation(truncation: Truncation) -> Record:
    """The record of a truncation."""
    content = {"epoch": truncation.epoch, "step": truncation.step, "resumed": truncation.resumed}
    return Record(Kind.TRUNCATE, to_json(content))


def decode_truncation(payload: memoryview) -> Truncation:
    """The truncation that `encode_truncation` wrote.

    Raises:
        ValueError: it is none.
    """
    content = from_json(payload)
    return Truncation(whole(content, "epoch"), whole(content, "step"), bool(content.get("resumed")))


def encode_dropped(dropped: Dropped) -> Record:
    """The record of rows that were dropped."""
    content = {
        "rows": dropped.num_rows,
        "first": dropped.first_step,
        "last": dropped.last_step,
        "reason": dropped.reason,
    }
    return Record(Kind.DROPPED, to_json(content))


def decode_dropped(payload: memoryview) -> Dropped:
    """What `encode_dropped` wrote.

    Raises:
        ValueError: it is none.
    """
    content = from_json(payload)
    first, last = whole(content, "first"), whole(content, "last")
    return Dropped(whole(content, "rows"), first, last, str(content.get("reason", "")))


def encode_said(kind: Kind, said: Said) -> Record:
    """The record of a finding or an event."""
    return Record(kind, to_json({"epoch": said.epoch, "data": said.data}))


def decode_said(payload: memoryview) -> Said:
    """What `encode_said` wrote.

    Raises:
        ValueError: it is none.
    """
    content = from_json(payload)
    data = content.get("data")
    if not isinstance(data, dict):
        raise ValueError("a finding or an event without its data")
    return Said(whole(content, "epoch"), cast("dict[str, Any]", data))


def whole(content: Mapping[str, Any], name: str) -> int:
    """The count under `name`.

    Raises:
        ValueError: there is none from 0 to 2^53.
    """
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_STEP:
        raise ValueError(f"{name} must be a whole number from 0 to 2^53, found {value!r:.50}")
    return value
