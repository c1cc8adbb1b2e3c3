"""The stream hands out the batches in order, and goes back in it exactly."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.snapshots import RandomSources, Stream


def take(stream, count):
    return [next(stream) for _ in range(count)]


class Drawn:
    """Batches that are shuffled and augmented from every global generator."""

    def __init__(self, size=5):
        self.size = size

    def __iter__(self):
        order = list(range(self.size))
        random.shuffle(order)
        for place in order:
            yield place + float(torch.rand(())) + float(np.random.rand())


class SavesItsPlace:
    """A loader with a state_dict, as torchdata's StatefulDataLoader."""

    def __init__(self, size=7):
        self.place = 0
        self.size = size
        self.num_read = 0

    def __iter__(self):
        while self.place < self.size:
            self.place += 1
            self.num_read += 1
            yield self.place
        self.place = 0

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place = state["place"]


def seed(number):
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def test_pass_follows_pass_and_the_position_counts_on():
    stream = Stream([1, 2, 3])
    assert take(stream, 7) == [1, 2, 3, 1, 2, 3, 1]
    assert (stream.position, stream.epoch, stream.num_read) == (7, 2, 1)


def test_one_pass_ends_where_the_data_does_and_the_next_one_begins():
    stream = Stream([1, 2, 3], keep=True)
    assert list(stream.one_pass()) == [1, 2, 3]
    assert list(stream.one_pass()) == [1, 2, 3]
    assert stream.position == 6


def test_what_was_gone_back_over_comes_again_within_the_pass():
    stream, seen = Stream([1, 2, 3, 4], keep=True), []
    for batch in stream.one_pass():
        seen.append(batch)
        if len(seen) == 3:
            stream.rewind(1)
    assert seen == [1, 2, 3, 2, 3, 4]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=12), st.integers(1, 6))
def test_any_going_back_and_forth_gives_the_batch_of_the_position(moves, size):
    stream, expected = Stream(list(range(size)), keep=True), lambda at: at % size
    for count, back in moves:
        at = stream.position
        assert take(stream, count) == [expected(at + k) for k in range(count)]
        stream.rewind(max(stream.oldest, stream.position - back))


@pytest.mark.parametrize("back", [1, 3, 6, 9])
def test_steps_done_again_draw_the_same_numbers(back):
    sources = RandomSources()
    seed(3)
    stream = Stream(Drawn(), sources, keep=True)

    def steps(count):
        """A batch, then what a dropout would draw."""
        return [(next(stream), float(torch.rand(())), random.random()) for _ in range(count)]

    steps(4)
    place, state = stream.position, sources.capture()
    first = steps(back)
    stream.rewind(place)
    sources.restore(state)
    assert steps(back) == first
    straight_on = steps(6)
    seed(3)
    again = Stream(Drawn(), sources)
    stream = again
    assert steps(4 + back + 6)[4 + back :] == straight_on


def test_a_one_shot_iterator_can_be_gone_back_in_as_far_as_it_is_held():
    stream = Stream(iter(range(100)), keep=True)
    take(stream, 10)
    stream.forget_before(6)
    stream.rewind(6)
    assert take(stream, 5) == [6, 7, 8, 9, 10]
    with pytest.raises(UsageError, match="batches 6 to 11 are held"):
        stream.rewind(5)
    with pytest.raises(UsageError, match="cannot go to position 12"):
        stream.rewind(12)


def test_without_keep_nothing_is_held():
    stream = Stream(iter(range(100)))
    take(stream, 10)
    assert stream.oldest == 10


@pytest.mark.parametrize("read", [0, 1, 4, 5, 6, 13])
@pytest.mark.parametrize("back", [0, 2])
@pytest.mark.parametrize("make", [Drawn, SavesItsPlace])
def test_a_saved_place_is_taken_up_in_another_process(make, read, back):
    sources = RandomSources()
    seed(1)
    stream = Stream(make(), sources, keep=True)
    take(stream, read)
    stream.rewind(max(stream.oldest, stream.position - back))
    saved, state = stream.state_dict(), sources.capture()
    rest = take(stream, 12)
    seed(99)
    again = Stream(make(), sources)
    again.load_state_dict(saved)
    sources.restore(state)
    if make is Drawn and back:  # a replayed batch was drawn before the state that was saved
        assert again.position == stream.position - 12
    else:
        assert take(again, 12) == rest


def test_a_loader_that_knows_its_place_reads_nothing_twice():
    stream = Stream(SavesItsPlace(), keep=True)
    take(stream, 5)
    saved = stream.state_dict()
    loader = SavesItsPlace()
    again = Stream(loader)
    again.load_state_dict(saved)
    assert take(again, 2) == [6, 7]
    assert loader.num_read == 2


def test_the_oldest_place_that_is_held_can_be_saved():
    stream = Stream(SavesItsPlace(), keep=True)
    take(stream, 6)
    stream.forget_before(3)
    stream.rewind(3)
    again = Stream(SavesItsPlace())
    again.load_state_dict(stream.state_dict())
    assert take(again, 4) == [4, 5, 6, 7]


def test_data_that_ends_before_the_place_is_refused():
    stream = Stream([1, 2, 3, 4])
    take(stream, 3)
    with pytest.raises(UsageError, match="ends after 2"):
        Stream([1, 2]).load_state_dict(stream.state_dict())


@pytest.mark.parametrize(("batches", "count"), [([], 1), (iter([1]), 2)])
def test_a_whole_pass_of_nothing_is_an_error(batches, count):
    with pytest.raises(ProgramError, match="expected"):
        take(Stream(batches), count)


def test_an_error_of_the_loader_goes_through_and_the_place_is_kept():
    def breaks():
        yield 1
        raise OSError("worker died")

    stream = Stream(breaks(), keep=True)
    next(stream)
    with pytest.raises(OSError, match="worker died"):
        next(stream)
    assert stream.position == 1
    assert stream.is_reading
