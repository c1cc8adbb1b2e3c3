import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadytrain.core.errors import UsageError
from steadytrain.lab.intervals import difference, interval, t_quantile


@pytest.mark.parametrize(
    ("freedom", "published"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)],
)
def test_the_t_quantile_is_the_published_one(freedom, published):
    assert t_quantile(freedom) == pytest.approx(published, abs=6e-4)


def test_an_interval_is_the_mean_and_its_error_times_t():
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half_width == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    assert (found.low, found.high) == (2.0 - found.half_width, 2.0 + found.half_width)


def test_a_single_seed_has_no_width_and_shows_nothing():
    found = interval([5.0])
    assert math.isnan(found.half_width)
    assert not found.excludes_zero
    assert str(found) == "5 (n=1)"


def test_equal_seeds_have_no_width():
    assert interval([0.5, 0.5]).half_width == 0
    assert str(interval([0.5, 0.5])) == "0.5 ± 0 (n=2)"


@pytest.mark.parametrize("values", [[], [math.nan], [1.0, math.inf]])
def test_diverged_runs_are_refused_instead_of_averaged(values):
    with pytest.raises(UsageError, match="finite values of at least one seed"):
        interval(values)


def test_a_difference_is_paired_seed_by_seed():
    found = difference([1.0, 11.0, 21.0], [0.0, 10.0, 20.0])
    assert (found.mean, found.half_width) == (1.0, 0.0)
    assert found.excludes_zero


def test_an_interval_is_printed_to_the_second_digit_of_its_width():
    assert str(interval([0.05, 0.06, 0.07])) == "0.060 ± 0.025 (n=3)"
    assert str(interval([2.1, 2.2, 2.3])) == "2.20 ± 0.25 (n=3)"


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_the_mean_lies_inside_and_printing_never_fails(values):
    found = interval(values)
    assert found.low <= found.mean <= found.high
    assert f"(n={len(values)})" in str(found)
