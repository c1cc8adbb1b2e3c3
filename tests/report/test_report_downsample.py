"""Fewer points, and nothing that matters is lost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steadytrain.core.history import History
from steadytrain.report.downsample import MAX_SPANS, _Columns, grid, spans, thin

floats = st.floats(allow_infinity=False, width=32)


def test_a_short_line_is_left_as_it_is() -> None:
    steps, values = np.arange(5), np.array([1.0, math.nan, 3.0, 2.0, 1.0])
    assert thin(steps, values, 10)[1] is values


@given(arrays(np.float64, st.integers(0, 400), elements=floats), st.integers(8, 60))
def test_a_thinned_line_is_bounded_and_keeps_its_ends_and_extremes(
    values: np.ndarray, points: int
) -> None:
    steps = np.arange(len(values)) * 7
    kept_steps, kept = thin(steps, values, points)
    assert len(kept) <= points
    assert np.isin(kept_steps, steps).all()
    if len(values):
        assert kept_steps[[0, -1]].tolist() == steps[[0, -1]].tolist()
    if not np.isnan(values).all():
        assert (np.nanmin(kept), np.nanmax(kept)) == (np.nanmin(values), np.nanmax(values))


def test_a_spike_of_one_step_in_a_million_survives() -> None:
    values = np.ones(1_000_000)
    values[654_321] = 50.0
    steps, kept = thin(np.arange(1_000_000), values)
    assert steps[np.argmax(kept)] == 654_321


def test_a_gap_stays_a_gap() -> None:
    values = np.ones(10_000)
    values[4000:5000] = math.nan
    steps, kept = thin(np.arange(10_000), values, 300)
    inside = kept[(steps > 4100) & (steps < 4900)]
    assert len(inside)
    assert np.isnan(inside).all()


@given(st.lists(st.integers(0, 5000), unique=True))
def test_spans_cover_every_step_and_are_few(steps: list[int]) -> None:
    found = spans(np.array(sorted(steps), dtype=np.int64), 5001)
    assert all(any(low <= step <= high for low, high in found) for step in steps)
    assert len(found) <= MAX_SPANS + 1


@given(
    arrays(np.float64, st.tuples(st.integers(1, 80), st.just(3)), elements=floats),
    st.integers(2, 9),
    st.integers(1, 30),
)
def test_columns_are_bounded_and_keep_the_largest_however_they_are_fed(
    values: np.ndarray, limit: int, piece: int
) -> None:
    columns = _Columns(limit)
    for at in range(0, len(values), piece):
        part = values[at : at + piece]
        columns.extend(np.arange(at, at + len(part)), part)
    whole = _Columns(limit)
    whole.extend(np.arange(len(values)), values)
    assert len(columns.cells) <= limit
    assert columns.steps == whole.steps
    np.testing.assert_array_equal(np.stack(columns.cells), np.stack(whole.cells))
    edges = [*columns.steps, len(values)]
    for cell, low, high in zip(columns.cells, edges, edges[1:], strict=False):
        np.testing.assert_array_equal(cell, np.fmax.reduce(values[low:high]))


def sampled(num_steps: int, num_sites: int, every: int = 1) -> History:
    history = History({"parameter": [f"p{i}" for i in range(num_sites)]}, capacity=None)
    for step in range(num_steps):
        history.append(step, "loss", 1.0)
        if step % every == 0:
            history.append(step, "grad_norm", np.full(num_sites, 1.0 + step))
    return history


def test_a_grid_has_a_column_per_measured_step_where_there_is_room() -> None:
    picture = grid(sampled(100, 3, every=10), "grad_norm", "grad_num_nonfinite")
    assert picture is not None
    assert picture.steps.tolist() == list(range(0, 100, 10))
    assert picture.values.shape == (10, 3)


def test_a_grid_keeps_the_spike_of_one_site_at_one_step() -> None:
    history = sampled(200, 50)
    history.append(200, "grad_norm", [999.0], sites=["p31"])
    picture = grid(history, "grad_norm", "grad_num_nonfinite", columns=20, rows=10)
    assert picture is not None
    assert picture.values.shape[0] <= 20
    assert picture.values[-1].argmax() == np.searchsorted(picture.first_sites, 31, "right") - 1
    assert picture.values.max() == 999.0


def test_what_was_counted_as_non_finite_is_infinite_in_the_grid() -> None:
    history = sampled(4, 3)
    history.append(4, "grad_norm", [2.0, math.nan, math.nan])
    history.append(4, "grad_num_nonfinite", [0, 5, 0])
    picture = grid(history, "grad_norm", "grad_num_nonfinite")
    assert picture is not None
    np.testing.assert_array_equal(picture.values[-1], [2.0, math.inf, math.nan])


def test_steps_that_are_only_non_finite_still_have_a_column() -> None:
    history = sampled(2, 2)
    history.append(7, "grad_num_nonfinite", [1, 1])
    picture = grid(history, "grad_norm", "grad_num_nonfinite")
    assert picture is not None
    assert picture.steps.tolist() == [0, 1, 7]


@pytest.mark.parametrize("history", [History(capacity=None), sampled(5, 0)])
def test_there_is_no_grid_of_what_was_never_measured(history: History) -> None:
    assert grid(history, "act_rms", "act_num_nonfinite") is None


def test_far_apart_steps_are_read_without_walking_between_them() -> None:
    history = History({"parameter": ["p"]}, capacity=None)
    for step in (0, 10**15):
        history.append(step, "grad_norm", [1.0])
    picture = grid(history, "grad_norm", "grad_num_nonfinite")
    assert picture is not None
    assert picture.steps.tolist() == [0, 10**15]
