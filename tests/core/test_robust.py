from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steadytrain.core.history import History
from steadytrain.core.robust import Trail, Upward, median, ordered, rank, spread, trail

anything = st.floats(-1e9, 1e9) | st.sampled_from([float("nan"), float("inf"), float("-inf")])


@given(arrays(np.float64, (3, 7), elements=anything))
def test_the_median_is_that_of_the_finite_values(windows):
    for found, window in zip(median(windows), windows, strict=True):
        finite = window[np.isfinite(window)]
        if len(finite):
            assert found == pytest.approx(np.median(finite))
        else:
            assert np.isnan(found)


def test_one_wild_value_moves_neither_median_nor_spread():
    calm = np.tile([1.0, 2.0, 3.0, 2.0], 5)[None, :]
    wild = np.append(calm, [[1e300]], axis=1)
    assert median(wild)[0] == 2.0
    assert spread(wild, median(wild))[0] == pytest.approx(spread(calm, median(calm))[0], rel=1.0)


def test_the_spread_of_normal_values_is_their_standard_deviation():
    values = np.random.default_rng(0).normal(5, 3, (1, 20_000))
    assert spread(values, median(values))[0] == pytest.approx(3, rel=0.03)


def test_a_rank_counts_only_finite_values():
    values, counts = ordered(np.array([[np.nan, 4, 1, np.inf, 3, 2]]))
    assert counts.tolist() == [4]
    assert rank(values, counts, 0.5)[0] == 2
    assert rank(values, counts, 1.0)[0] == 4


def test_windows_hold_earlier_values_only_and_none_beyond_reach():
    series = Trail(np.array([0, 1, 2, 10, 11]), np.arange(5.0), 0)
    windows = series.before(np.array([4]), 4, reach=9)
    np.testing.assert_array_equal(windows, [[np.nan, np.nan, 2, 3]])


def test_windows_begin_at_the_last_change_of_regime():
    series = Trail(np.arange(6), np.arange(6.0), 0)
    since = np.array([0, 0, 0, 3, 3, 3])
    np.testing.assert_array_equal(
        series.before(np.array([5]), 4, reach=9, since=since)[0], [np.nan, np.nan, 3, 4]
    )


def test_a_trail_drops_what_is_not_finite():
    history = History()
    for step, value in enumerate([1.0, float("inf"), float("nan"), 2.0]):
        history.append(step, "loss", value)
    series = trail(history, "loss")
    assert (series.steps.tolist(), series.values.tolist()) == ([0, 3], [1.0, 2.0])


def noisy(level: np.ndarray, seed: int = 0) -> Trail:
    noise = np.random.default_rng(seed).standard_normal(len(level))
    return Trail(np.arange(len(level)), level + 0.1 * noise, 0)


def test_a_jump_upward_exceeds_the_limit_and_one_downward_does_not():
    level = np.ones(300)
    level[200], level[250] = 3.0, -3.0
    seen = Upward().judge(noisy(level))
    over = np.flatnonzero(seen.excess > seen.limit)
    assert over.tolist() == [200]


def test_a_trend_is_not_an_excess():
    for slope in (0.02, -0.02):
        seen = Upward().judge(noisy(slope * np.arange(400.0)))
        assert not (seen.excess > seen.limit).any()


def test_an_earlier_outlier_does_not_hide_the_next():
    level = np.ones(300)
    level[[150, 160, 170]] = 5.0
    seen = Upward().judge(noisy(level))
    assert np.flatnonzero(seen.excess > seen.limit).tolist() == [150, 160, 170]


@pytest.mark.parametrize(("shift", "scale"), [(0, 1000), (-50, 1), (1e4, 0.01)])
def test_the_verdict_knows_neither_unit_nor_zero_of_the_series(shift, scale):
    level = np.linspace(3, 1, 300)
    level[280] = 4
    plain = noisy(level)
    moved = Trail(plain.steps, shift + scale * plain.values, 0)
    first, second = Upward().judge(plain), Upward().judge(moved)
    assert np.flatnonzero(first.excess > first.limit).tolist() == [280]
    assert np.flatnonzero(second.excess > second.limit).tolist() == [280]


@given(st.integers(0, 299), st.sampled_from([1, 4, 10]))
def test_a_verdict_depends_only_on_its_own_reach(first, smooth):
    series = noisy(np.linspace(2, 1, 300))
    test = Upward(smooth=smooth, stride=smooth, window=100, min_rows=8)
    whole = test.judge(series)
    low = max(0, first - test.reach)
    part = test.judge(
        Trail(series.steps[low : first + 1], series.values[low : first + 1], first - low)
    )
    np.testing.assert_array_equal(part.limit[0], whole.limit[first])
    np.testing.assert_array_equal(part.excess[0], whole.excess[first])
