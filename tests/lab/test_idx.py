import gzip
import struct

import numpy as np
import pytest

from steadytrain.core.errors import UsageError
from steadytrain.lab.idx import read_idx


def idx(array, *, kind=8):
    header = bytes((0, 0, kind, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_was_written_is_read(tmp_path, pack):
    path = tmp_path / "images"
    path.write_bytes(pack(idx(IMAGES)))
    assert np.array_equal(read_idx(path, 3), IMAGES)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "first bytes"),
        (b"<html>not found</html>", "3c 68 74 6d"),
        (idx(IMAGES, kind=13), "00 00 0d 03"),
        (idx(IMAGES)[:7], "3 bytes of sizes"),
        (idx(IMAGES)[:-1], "23 bytes after the header"),
        (idx(IMAGES) + b"x", "more bytes"),
        (bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**31, 2**31, 2), "sizes 2147483648"),
        (bytes((0, 0, 8, 3)) + struct.pack(">3I", 0, 28, 28), "sizes 0 x 28 x 28"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-9], "EOFError"),
        (b"\x1f\x8bdamaged", "Error"),
        (gzip.compress(idx(IMAGES), mtime=0)[:10] + b"\xff" * 20, "error"),
    ],
)
def test_a_damaged_file_is_refused_with_what_was_found(tmp_path, content, found):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="no IDX file of the expected kind") as caught:
        read_idx(path, 3)
    assert found in str(caught.value)


def test_labels_are_not_taken_for_images(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(idx(np.arange(5, dtype=np.uint8)))
    with pytest.raises(UsageError, match="expected 00 00 08 03"):
        read_idx(path, 3)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="FileNotFoundError"):
        read_idx(tmp_path / "none", 1)
