"""IDX files, the format MNIST is published in, read strictly.

Big-endian: two zero bytes, the type 0x08 (unsigned byte), the number of dimensions, one 32-bit
size per dimension, then the bytes row by row. The file may be compressed with gzip.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, Final, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.errors import UsageError

UNSIGNED_BYTE: Final = 0x08
MAX_BYTES: Final = 1 << 30
"""Largest array that is read: 20 times MNIST, so that a damaged size cannot fill the memory."""

_GZIP_MAGIC: Final = b"\x1f\x8b"


def read_idx(path: Path, num_dims: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in the IDX file at `path`, which has `num_dims` dimensions.

    Raises:
        UsageError: the file cannot be read, or is no such array.
    """
    try:
        with _open(path) as file:
            shape = _read_header(path, file, num_dims)
            body = file.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        _fail(path, f"{type(error).__name__}: {error}", "a readable file, gzip or plain")
    expected = math.prod(shape)
    if len(body) != expected:
        found = f"{len(body):,} bytes" if len(body) < expected else "more bytes"
        sizes = " x ".join(str(size) for size in shape)
        _fail(path, f"{found} after the header", f"exactly {expected:,} for sizes {sizes}")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    return cast("IO[bytes]", gzip.open(path, "rb") if compressed else path.open("rb"))


def _read_header(path: Path, file: IO[bytes], num_dims: int) -> tuple[int, ...]:
    magic = file.read(4)
    expected = bytes((0, 0, UNSIGNED_BYTE, num_dims))
    if magic != expected:
        _fail(path, f"the first bytes {magic.hex(' ') or '(none)'}", expected.hex(" "))
    sizes = file.read(4 * num_dims)
    if len(sizes) != 4 * num_dims:
        _fail(path, f"{len(sizes)} bytes of sizes", f"{4 * num_dims}")
    shape = struct.unpack(f">{num_dims}I", sizes)
    if not 0 < math.prod(shape) <= MAX_BYTES:
        shown = " x ".join(str(size) for size in shape)
        _fail(path, f"sizes {shown}", f"between 1 and {MAX_BYTES:,} bytes in all")
    return shape


def _fail(path: Path, found: str, expected: str) -> NoReturn:
    msg = f"{path} is no IDX file of the expected kind: found {found}, expected {expected}."
    raise UsageError(f"{msg} Copy or download the file again.") from None
