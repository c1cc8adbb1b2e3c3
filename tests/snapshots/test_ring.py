"""The ring keeps the newest snapshots, in memory used over and over, within its share of the time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from snapshot_parts import assert_same_state, make_parts, state_of, train
from torch import nn

from steadytrain.core.errors import SnapshotError, UsageError
from steadytrain.snapshots import HostMemory, SnapshotRing, restore
from steadytrain.snapshots.cadence import Cadence


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def copying_for(clock, seconds, monkeypatch):
    plain = HostMemory.copies

    def slow(self, tensors):
        clock.now += seconds
        return plain(self, tensors)

    monkeypatch.setattr(HostMemory, "copies", slow)


def ring_of(model, **options):
    return SnapshotRing({"model": model}, **options)


def test_the_newest_are_kept_and_older_ones_make_room():
    ring = ring_of(nn.Linear(2, 1), capacity=3, every=1)
    for step in range(7):
        ring.take(step)
    assert ring.steps == [4, 5, 6]
    assert len(ring) == 3
    assert ring.newest().step == 6
    assert ring.newest(at_most=5).step == 5
    assert ring.newest(at_most=3) is None


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_any_kept_snapshot_restores_its_own_step(capacity):
    parts = make_parts()
    ring = SnapshotRing(parts, capacity=capacity, every=1)
    states = {}
    for step in range(6):
        ring.take(step)
        states[step] = state_of(parts)
        train(parts, 1)
    for step in ring.steps:
        restore(ring.newest(at_most=step), parts)
        assert_same_state(state_of(parts), states[step])


def test_a_snapshot_that_made_room_is_refused():
    model = nn.Linear(2, 1)
    ring = ring_of(model, capacity=2, every=1)
    first = ring.take(0)
    for step in (1, 2):
        ring.take(step)
    with pytest.raises(SnapshotError, match="given to a newer one"):
        restore(first, {"model": model})


def test_after_going_back_the_later_ones_are_given_up():
    ring = ring_of(nn.Linear(2, 1), every=1)
    for step in range(3):
        ring.take(step)
    ring.drop_after(1)
    assert ring.steps == [0, 1]
    ring.take(1)
    assert ring.steps == [0, 1]


def test_the_position_in_the_data_stays_with_its_snapshot():
    ring = ring_of(nn.Linear(2, 1), every=1)
    ring.take(4, data=17)
    assert ring.newest().data == 17


def test_memory_is_bounded_by_the_capacity():
    model = nn.Linear(50, 50)
    ring = ring_of(model, capacity=3, every=1)
    places = set()
    for step in range(20):
        places |= {tensor.data_ptr() for tensor in ring.take(step).tensors}
    assert len(places) <= 3 * 2
    assert ring.num_bytes == 3 * (50 * 50 + 50) * 4


def test_without_memory_the_oldest_goes_and_the_last_one_stays(monkeypatch):
    ring = ring_of(nn.Linear(2, 1), every=1)
    for step in range(3):
        ring.take(step)

    def exhausted(self, tensors):
        raise MemoryError("no more")

    monkeypatch.setattr(HostMemory, "copies", exhausted)
    assert ring.take(3) is None
    assert ring.steps == [2]
    assert "step 3" in ring.failure


@pytest.mark.parametrize(
    ("step_seconds", "copy_seconds", "share"),
    [(0.1, 0.004, 0.01), (0.001, 0.002, 0.01), (2.0, 0.5, 0.05), (0.01, 1e-5, 0.01)],
)
def test_the_copies_stay_within_their_share_of_the_time(
    step_seconds, copy_seconds, share, monkeypatch
):
    clock = Clock()
    copying_for(clock, copy_seconds, monkeypatch)
    ring = ring_of(nn.Linear(2, 1), max_share=share, clock=clock)
    num_taken = 0
    for step in range(600):
        clock.now += step_seconds
        if ring.is_due(step):
            ring.take(step)
            num_taken += 1
    # the first two are taken before anything is known
    assert (num_taken - 2) * copy_seconds <= share * clock.now
    assert num_taken * max(1, copy_seconds / (share * step_seconds)) > 600 / 3


def test_a_pause_between_steps_makes_snapshots_neither_rarer_nor_more_frequent():
    clock = Clock()
    cadence = Cadence(clock=clock)
    cadence.note_copy(0.01)
    for step in range(60):
        clock.now += 30.0 if step % 10 == 9 else 0.1
        cadence.pass_step(step)
    assert cadence.interval in (10, 11)  # what the clock's rounding makes of 10


@given(st.floats(0, 10), st.floats(0, 10), st.floats(1e-4, 1))
def test_an_interval_is_never_below_one_step(copy, step, share):
    cadence = Cadence(max_share=share)
    cadence.note_copy(copy)
    cadence.note_step(step)
    assert cadence.interval >= 1
    assert not cadence.interval * step * share < copy * (1 - 1e-9) or step < 1e-9


def test_a_given_interval_is_kept_whatever_it_costs():
    cadence = Cadence(every=7)
    cadence.note_copy(5.0)
    cadence.note_step(0.001)
    assert cadence.interval == 7


@pytest.mark.parametrize(
    "options", [{"capacity": 0}, {"max_share": 0}, {"max_share": float("nan")}, {"every": 0}]
)
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        SnapshotRing({"x": torch.zeros(1)}, **options)
