"""What is on disk as a snapshot is whole, verified to the last byte, and loads without code."""

import errno
import os
import stat
from collections import Counter, OrderedDict, deque

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from snapshot_parts import (
    FailingDisk,
    Killed,
    assert_same_state,
    make_parts,
    same_bits,
    state_of,
    train,
)

from steadytrain.core.errors import ProgramError, StoreError
from steadytrain.snapshots import Checkpoints, capture, restore
from steadytrain.snapshots.layout import DamagedSnapshotError
from steadytrain.snapshots.reading import read_snapshot
from steadytrain.snapshots.writing import write_snapshot


class Holder:
    """Anything with a state_dict, which gives what it was given."""

    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def there_and_back(tmp_path, state):
    write_snapshot(tmp_path / "one", capture({"it": Holder(state)}))
    back = Holder(None)
    restore(read_snapshot(tmp_path / "one")[0], {"it": back})
    return back.state


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
    st.sampled_from([torch.float16, torch.Size([2, 3]), torch.device("cpu"), 1 << 13_000]),
)
keys = st.one_of(st.text(max_size=3), st.integers(), st.tuples(st.integers(), st.text(max_size=2)))
nests = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(nests)
def test_plain_values_come_back_as_they_were(tmp_path_factory, value):
    assert there_and_back(tmp_path_factory.mktemp("it"), value) == value


kinds = st.one_of(
    npst.integer_dtypes(endianness="="),
    npst.unsigned_integer_dtypes(endianness="="),
    npst.floating_dtypes(endianness="=", sizes=(16, 32, 64)),
    npst.complex_number_dtypes(endianness="=", sizes=(64, 128)),
    npst.boolean_dtypes(),
)


@settings(deadline=None)
@given(npst.arrays(kinds, npst.array_shapes(min_dims=0, min_side=0, max_side=4)))
def test_arrays_and_tensors_come_back_to_the_bit(tmp_path_factory, array):
    folder = tmp_path_factory.mktemp("it")
    tensor = torch.from_numpy(array.copy())
    back = there_and_back(folder, {"array": array, "tensor": tensor})
    assert back["array"].dtype == array.dtype
    assert back["array"].tobytes() == array.tobytes()
    assert same_bits(back["tensor"], tensor)


def test_containers_keep_their_kind(tmp_path):
    state = {
        "a": OrderedDict(x=1),
        "b": Counter([3, 3]),
        "c": {1, 2},
        "d": torch.Size([2]),
        "e": deque([1, 2], maxlen=2),
        "f": frozenset({1}),
        "g": np.float64(0.5),
    }
    back = there_and_back(tmp_path, state)
    assert back == state
    assert [type(value) for value in back.values()] == [type(value) for value in state.values()]
    assert back["e"].maxlen == 2


def test_tensors_that_are_one_are_one_on_disk(tmp_path):
    tensor = torch.arange(3)
    back = there_and_back(tmp_path, {"a": tensor, "b": [tensor]})
    assert back["a"] is back["b"][0]


@pytest.mark.parametrize("value", [object(), lambda: 0, range(3), np.array([None])])
def test_refuses_what_only_code_could_restore_and_says_where(tmp_path, value):
    snapshot = capture({"it": Holder({"a": [0, value]})})
    with pytest.raises(ProgramError, match=r"it'\]\['a'\]\[1\] is a "):
        write_snapshot(tmp_path / "one", snapshot)


def test_refuses_a_tensor_that_is_more_than_its_bytes(tmp_path):
    snapshot = capture({"it": Holder({"eye": torch.eye(2).to_sparse()})})
    with pytest.raises(ProgramError, match=r"it\['eye'\] is a torch.sparse_coo"):
        write_snapshot(tmp_path / "one", snapshot)


def test_a_trained_state_goes_to_another_process_and_on(tmp_path):
    parts = make_parts()
    train(parts, 3)
    Checkpoints(tmp_path).save(capture(parts, step=3), {"row": 5})
    train(parts, 4)
    end = state_of(parts)
    again = make_parts(seed=8)
    loaded = Checkpoints(tmp_path).load_newest()
    restore(loaded.snapshot, again)
    train(again, 4)
    assert_same_state(state_of(again), end)
    assert loaded.facts == {"row": 5}
    assert loaded.snapshot.step == 3


def test_only_the_owner_may_read_it(tmp_path):
    path = Checkpoints(tmp_path).save(capture({"it": Holder(1)}, step=12))
    assert path.name == "step-000000012.snapshot"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    """A snapshot of a few tensors, as bytes."""
    path = tmp_path_factory.mktemp("small") / "one"
    state = {"weight": torch.arange(40.0), "bias": torch.ones(3, dtype=torch.bfloat16), "n": 7}
    write_snapshot(path, capture({"it": Holder(state)}, step=4))
    return path.read_bytes()


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(DamagedSnapshotError) as caught:
        read_snapshot(path)
    return str(caught.value)


def test_every_byte_with_a_flipped_bit_is_noticed(tmp_path, small_file):
    for place in range(len(small_file)):
        content = bytearray(small_file)
        content[place] ^= 1 << place % 8
        assert refused(tmp_path / "one", content)


def test_a_file_cut_or_prolonged_anywhere_is_noticed(tmp_path, small_file):
    for size in [*range(0, len(small_file), 7), len(small_file) - 1]:
        assert refused(tmp_path / "one", small_file[:size])
    assert refused(tmp_path / "one", small_file + b"\0")


def test_the_tensor_that_was_changed_is_named(tmp_path, small_file):
    content = bytearray(small_file)
    content[content.rindex(torch.tensor(7.0).numpy().tobytes())] ^= 4
    assert refused(tmp_path / "one", content).startswith("it['weight'] does not have the hash")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_random_damage_is_noticed(tmp_path_factory, small_file, data):
    start = data.draw(st.integers(0, len(small_file) - 1))
    block = data.draw(st.binary(min_size=1, max_size=200))
    content = small_file[:start] + block + small_file[start + len(block) :]
    if content != small_file:
        assert refused(tmp_path_factory.mktemp("it") / "one", content)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\0" * 500, b"x" * 100_000])
def test_a_foreign_file_is_refused(tmp_path, content):
    assert refused(tmp_path / "one", content)


def saved_twice(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(capture({"it": Holder(step)}, step=step))
    return checkpoints


@pytest.mark.parametrize("size", [0, 10, -1])
def test_the_generation_before_is_used_when_the_newest_is_damaged(tmp_path, size):
    checkpoints = saved_twice(tmp_path)
    path = checkpoints.paths()[0]
    path.write_bytes(path.read_bytes()[:size])
    loaded = checkpoints.load_newest()
    assert loaded.snapshot.step == 1
    assert loaded.damaged[0].startswith("step-000000002.snapshot: ")


def test_all_damaged_is_an_error_that_names_each(tmp_path):
    checkpoints = saved_twice(tmp_path)
    for path in checkpoints.paths():
        path.write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"000002\.snapshot: .*000001\.snapshot: "):
        checkpoints.load_newest()


def test_a_link_or_a_pipe_under_its_name_is_not_read(tmp_path):
    checkpoints = saved_twice(tmp_path / "run")
    elsewhere = Checkpoints(tmp_path / "other").save(capture({"it": Holder(9)}, step=9))
    (checkpoints.directory / "step-000000009.snapshot").symlink_to(elsewhere)
    os.mkfifo(checkpoints.directory / "step-000000008.snapshot")
    loaded = checkpoints.load_newest()
    assert loaded.snapshot.step == 2
    assert "symbolic link" in loaded.damaged[0]
    assert "not a regular file" in loaded.damaged[1]


def test_files_of_the_format_before_are_refused_by_name(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.directory.mkdir()
    (checkpoints.directory / "step-000000004.pt").write_bytes(b"PK")
    with pytest.raises(StoreError, match=r"step-000000004\.pt.*version 0\.1"):
        checkpoints.load_newest()


def test_a_run_that_went_back_takes_its_later_snapshots_along(tmp_path):
    checkpoints = saved_twice(tmp_path)
    checkpoints.save(capture({"it": Holder(3)}, step=9))
    checkpoints.save(capture({"it": Holder(4)}, step=5))
    assert [path.name for path in checkpoints.paths()] == [
        "step-000000005.snapshot",
        "step-000000002.snapshot",
    ]


def test_large_step_numbers_sort_as_numbers(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (999_999_999, 10**10):
        checkpoints.save(capture({"it": Holder(step)}, step=step))
    assert checkpoints.load_newest().snapshot.step == 10**10


NUM_CALLS = 30
"""More calls of the disk than one save makes."""


def names_of(checkpoints):
    return sorted(path.name for path in checkpoints.directory.iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("at", range(NUM_CALLS))
def test_each_failing_call_leaves_the_earlier_ones_and_no_part(tmp_path, at, code):
    before = names_of(saved_twice(tmp_path))
    disk = FailingDisk(at, OSError(code, os.strerror(code)))
    failing = Checkpoints(tmp_path, disk=disk)
    try:
        failing.save(capture({"it": Holder([torch.ones(9), 3])}, step=3))
    except OSError:
        # only the very last call, which makes the new name last, comes after the file is there
        allowed = [before, [*before, "step-000000003.snapshot"]]
        assert names_of(failing) in allowed
    assert failing.load_newest().snapshot.step in (2, 3)
    assert not [name for name in names_of(failing) if name.endswith(".tmp")] or at < NUM_CALLS


@pytest.mark.parametrize("at", range(NUM_CALLS))
def test_a_process_killed_at_any_call_leaves_a_whole_snapshot(tmp_path, at):
    saved_twice(tmp_path)
    killed = Checkpoints(tmp_path, disk=FailingDisk(at, Killed()))
    with_death = capture({"it": Holder([torch.ones(9), 3])}, step=3)
    try:
        killed.save(with_death)
        finished = True
    except Killed:
        finished = False
    found = Checkpoints(tmp_path).load_newest()
    assert found.damaged == ()
    assert found.snapshot.step == 3 if finished else found.snapshot.step in (2, 3)
    after = Checkpoints(tmp_path)
    after.save(capture({"it": Holder(4)}, step=4))
    assert not [name for name in names_of(after) if name.endswith(".tmp")]


def test_one_save_makes_fewer_calls_than_are_failed(tmp_path):
    disk = FailingDisk()
    Checkpoints(tmp_path, disk=disk).save(capture({"it": Holder([torch.ones(9), 3])}, step=3))
    assert 8 < disk.num_calls < NUM_CALLS
    assert {"create", "write", "sync", "close", "replace", "sync_directory"} <= set(disk.names)
