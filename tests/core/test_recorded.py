"""A one-shot iterator is kept to be read again, but not without bound."""

import itertools

import numpy as np
import pytest

from steadytrain.core.errors import ProgramError
from steadytrain.core.recorded import RecordedBatches, num_bytes


def arrays(count, numbers=4):
    return (np.full(numbers, place, dtype=np.float64) for place in range(count))


def test_two_readers_see_the_same_batches():
    batches = RecordedBatches(iter(range(5)))
    first, second = iter(batches), iter(batches)
    assert [next(first), next(first), next(second)] == [0, 1, 0]
    assert list(second) == [1, 2, 3, 4]
    assert list(first) == [2, 3, 4]


def test_an_endless_iterator_keeps_no_more_than_its_bound():
    batches = RecordedBatches(arrays(10_000), max_bytes=10 * 32)
    last = list(itertools.islice(batches, 9_000))[-1]
    assert last[0] == 8_999
    assert len(batches._kept) == 10


def test_what_was_not_kept_is_refused_and_not_left_out():
    batches = RecordedBatches(arrays(20), max_bytes=10 * 32)
    assert len(list(batches)) == 20
    again = iter(batches)
    assert [next(again)[0] for _ in range(10)] == list(range(10))
    with pytest.raises(ProgramError, match="first 10 batches are kept and batch 11 was read"):
        next(again)


def test_a_small_batch_after_the_bound_leaves_no_gap():
    batches = RecordedBatches(iter([np.zeros(4), np.zeros(100), 7]), max_bytes=64)
    assert len(list(batches)) == 3
    again = iter(batches)
    next(again)
    with pytest.raises(ProgramError):
        next(again)


def test_batches_of_every_shape_are_measured():
    one = np.zeros(4, dtype=np.float32)
    assert num_bytes({"x": one, "y": [one, (one, "text", 3)]}) == 48
    assert num_bytes(None) == 0
