"""What is on disk as a checkpoint is whole, verified, and loads without running code."""

import hashlib
import os
import stat
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steadytrain.core.errors import ProgramError, StoreError
from steadytrain.training.checkpoints import Checkpoints
from steadytrain.training.portable import decode, encode

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()
)
nests = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(nests)
def test_plain_values_come_back_as_they_were(value):
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        np.arange(4, dtype=np.uint32),
        np.float64(0.5),
        np.zeros((0, 2), dtype=np.float32),
        np.array([True, False]),
        np.arange(6).reshape(2, 3).T,
    ],
)
def test_numpy_values_keep_their_type_and_bits(tmp_path, value):
    Checkpoints(tmp_path).save(0, {"value": value})
    back = Checkpoints(tmp_path).load_newest().state["value"]
    assert type(back) is type(value)
    assert back.dtype == value.dtype
    assert np.array_equal(back, value)


def test_containers_keep_their_kind(tmp_path):
    state = {"a": OrderedDict(x=1), "b": Counter([3, 3]), "c": {1, 2}, "d": torch.Size([2])}
    Checkpoints(tmp_path).save(0, state)
    back = Checkpoints(tmp_path).load_newest().state
    assert back == state
    assert [type(v) for v in back.values()] == [type(v) for v in state.values()]


@pytest.mark.parametrize("value", [object(), lambda: 0, range(3), np.array([None])])
def test_refuses_what_only_code_could_restore_and_says_where(value):
    with pytest.raises(ProgramError, match=r"state\['a'\]\[1\] is a "):
        encode({"a": [0, value]}, "state")


def test_the_digest_beside_it_is_the_files_own(tmp_path):
    path = Checkpoints(tmp_path).save(12, {"x": torch.arange(1000)})
    digest, name = path.with_name(f"{path.name}.sha256").read_text().split()
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert name == path.name == "step-000000012.pt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@settings(deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(tmp_path_factory, place, bit):
    checkpoints = Checkpoints(tmp_path_factory.mktemp("run"))
    path = checkpoints.save(1, {"x": torch.arange(50)})
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(StoreError, match="SHA-256"):
        checkpoints.load_newest()


@pytest.mark.parametrize("size", [0, 10, -1])
def test_a_cut_file_is_passed_over(tmp_path, size):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": 1})
    path = checkpoints.save(2, {"x": 2})
    path.write_bytes(path.read_bytes()[:size])
    found = checkpoints.load_newest()
    assert found.state == {"x": 1}
    assert "step-000000002.pt" in found.damaged[0]


def test_a_file_without_its_digest_was_never_finished(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": 1})
    path = checkpoints.save(2, {"x": 2})
    path.with_name(f"{path.name}.sha256").unlink()
    assert checkpoints.load_newest().state == {"x": 1}


class Hostile:
    def __reduce__(self):
        return (os.mkdir, ("must-not-appear",))


def test_a_pickle_with_code_is_not_run_even_with_a_right_digest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints(tmp_path)
    path = checkpoints.save(1, {"x": 1})
    torch.save(Hostile(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
    with pytest.raises(StoreError, match="plain tensors"):
        checkpoints.load_newest()
    assert not (tmp_path / "must-not-appear").exists()


def test_a_link_under_a_checkpoints_name_is_not_followed(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run")
    elsewhere = Checkpoints(tmp_path / "other").save(7, {"x": 7})
    checkpoints.save(1, {"x": 1})
    link = checkpoints.directory / "step-000000009.pt"
    link.symlink_to(elsewhere)
    link.with_name(f"{link.name}.sha256").symlink_to(f"{elsewhere}.sha256")
    assert checkpoints.load_newest().state == {"x": 1}


def test_a_save_that_fails_leaves_the_earlier_ones_and_no_part(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": 1})
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        checkpoints.save(2, {"x": 2})
    names = sorted(path.name for path in checkpoints.directory.iterdir())
    assert names == ["step-000000001.pt", "step-000000001.pt.sha256"]


def test_a_part_left_by_a_killed_process_is_cleared(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": 1})
    (checkpoints.directory / ".step-000000002.pt.part").write_bytes(b"half")
    checkpoints.save(2, {"x": 2})
    assert not list(checkpoints.directory.glob(".*"))


def test_large_step_numbers_sort_as_numbers(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (999_999_999, 10**10):
        checkpoints.save(step, {"x": step})
    assert checkpoints.load_newest().state == {"x": 10**10}
