"""A file whose hashes are right and whose header lies is refused before anything is allocated."""

import hashlib
import json
import struct
import tracemalloc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steadytrain.snapshots import capture
from steadytrain.snapshots.layout import MAGIC, MAX_HEADER, PREFIX_BYTES, DamagedSnapshotError
from steadytrain.snapshots.reading import read_snapshot
from steadytrain.snapshots.writing import write_snapshot


def honest(path):
    """The header and the tensors' bytes of a real snapshot of two tensors."""
    parts = {"extra": {"a": torch.arange(20.0), "b": torch.ones(3, dtype=torch.int64)}}
    write_snapshot(path, capture(parts, step=1))
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content, 16)
    return json.loads(content[PREFIX_BYTES : PREFIX_BYTES + length]), content


def forged(path, header, room=1 << 12):
    """A file with that header, all its hashes right, and zeros for data."""
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    digest = hashlib.sha256(text).digest()
    front = struct.pack("<8sIIQ32s", MAGIC, 1, 0, len(text), digest) + text
    size = header["size"] if isinstance(header, dict) and isinstance(header.get("size"), int) else 0
    path.write_bytes(front + bytes(max(0, min(size, len(front) + room) - len(front))))
    return path


def first(header, **changes):
    header["tensors"][0].update(changes)
    return header


LIES = {
    "a tensor behind the end": lambda h: first(h, offset=1 << 50),
    "a tensor over the header": lambda h: first(h, offset=0),
    "tensors over each other": lambda h: h["tensors"][1].update(offset=h["tensors"][0]["offset"]),
    "an exabyte of elements": lambda h: first(h, shape=[1 << 60], num_bytes=1 << 62),
    "a negative size": lambda h: first(h, shape=[-5]),
    "sizes that overflow": lambda h: first(h, shape=[1 << 62, 1 << 62, 0], num_bytes=0),
    "fewer bytes than elements": lambda h: first(h, num_bytes=4),
    "a fraction for an offset": lambda h: first(h, offset=64.5),
    "true for a size": lambda h: first(h, shape=[True]),
    "elements that are objects": lambda h: first(h, dtype="object"),
    "an attribute of torch for elements": lambda h: first(h, dtype="load"),
    "a hundred dimensions": lambda h: first(h, shape=[1] * 100),
    "an unknown field": lambda h: first(h, surprise=1),
    "a missing field": lambda h: h["tensors"][0].pop("hash"),
    "no tensors": lambda h: h.pop("tensors"),
    "a list for all of it": lambda h: h.clear(),
    "facts that are a list": lambda h: h.update(facts=[1]),
    "another size": lambda h: h.update(size=h["size"] + 64),
    "a leaf that is not there": lambda h: h["parts"].__setitem__(2, [["a", ["t", 7]]]),
    "a leaf below the first": lambda h: h["parts"].__setitem__(2, [["a", ["t", -1]]]),
    "an unknown node": lambda h: h["parts"].__setitem__(2, [["a", ["exec", "print()"]]]),
    "a tree that is a number": lambda h: h.update(parts=5),
    "parts without names": lambda h: h["parts"].__setitem__(2, [[1, ["none"]]]),
    "a value of an unknown kind": lambda h: h["parts"].__setitem__(
        2, [["a", {"!": "code", "of": ""}]]
    ),
    "an optimizer without states": lambda h: h["parts"].__setitem__(
        2, [["a", ["optimizer", "SGD", [], [[[3]]], [], [], {}]]]
    ),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lie_with_the_right_hash_is_refused(tmp_path, lie):
    header, _ = honest(tmp_path / "one")
    LIES[lie](header)
    path = forged(tmp_path / "two", header)
    tracemalloc.start()
    with pytest.raises(DamagedSnapshotError):
        read_snapshot(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"step":' * 5000, b"\xff\xfe", b"", b"null"])
def test_a_header_that_is_no_header_is_refused(tmp_path, text):
    with pytest.raises(DamagedSnapshotError):
        read_snapshot(forged(tmp_path / "one", text))


def test_a_tree_as_deep_as_the_stack_is_refused(tmp_path):
    header, _ = honest(tmp_path / "one")
    header["parts"] = "TREE"
    tree = '["row","list",null,[' * 300 + '["none"]' + "]]" * 300
    text = json.dumps(header).replace('"TREE"', f'["items","dict",[["a",{tree}]]]').encode()
    with pytest.raises(DamagedSnapshotError):
        read_snapshot(forged(tmp_path / "two", text))


def test_a_header_longer_than_believed_is_not_read(tmp_path):
    front = struct.pack("<8sIIQ32s", MAGIC, 1, 0, MAX_HEADER + 1, bytes(32))
    (tmp_path / "one").write_bytes(front)
    with pytest.raises(DamagedSnapshotError, match="more than"):
        read_snapshot(tmp_path / "one")


def test_a_later_version_is_refused_with_both_numbers(tmp_path):
    _, content = honest(tmp_path / "one")
    (tmp_path / "one").write_bytes(content[:8] + struct.pack("<I", 9) + content[12:])
    with pytest.raises(DamagedSnapshotError, match="version 9, expected 1"):
        read_snapshot(tmp_path / "one")


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_any_other_value_in_a_header_is_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("it")
    header, _ = honest(folder / "one")
    spot = data.draw(st.sampled_from([*header, "entry"]))
    value = data.draw(json_values)
    if spot == "entry":
        header["tensors"][0][data.draw(st.sampled_from(sorted(header["tensors"][0])))] = value
    else:
        header[spot] = value
    with pytest.raises(DamagedSnapshotError):  # at the latest at the zeros for its tensors
        read_snapshot(forged(folder / "two", header))
